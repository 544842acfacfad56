using System.Text.Json;
using DetectorService;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.StaticFiles;
using Microsoft.Extensions.FileProviders;
using Microsoft.ML;

// npm install --no-package-lock --prefix samples/BrowserDetector
// dotnet run -c Release --project samples/BrowserDetector -- --urls http://localhost:5081
//
// Trains a detector, writes it as an ONNX file, and serves a page that scores rows with it in the browser: no reading leaves the
// machine it is typed on. The folder that is named at the start is all there is to it: any web server can serve it.
string site = Path.Combine(AppContext.BaseDirectory, "site");
if (!File.Exists(Path.Combine(site, "ort.wasm.bundle.min.mjs")))
{
    Console.Error.WriteLine("ONNX Runtime for browsers is not here: npm install --no-package-lock --prefix samples/BrowserDetector, then build again.");
    return 1;
}

var ml = new MLContext(seed: 1);
ITransformer detector = Detector.Fit(ml, ml.Data.LoadFromEnumerable(Detector.Simulate(20_000, seed: 1)));
detector.SaveOnnx(Path.Combine(site, "detector.onnx"));

// Rows for the page to begin with, some of them strange, and what C# says of them.
Reading[] rows =
[
    .. Detector.Simulate(997, seed: 2),
    new() { Vibration = 0.9f, Temperature = 45, Current = 0.6f }, new() { Vibration = 0.1f, Temperature = 70, Current = 0.4f },
    new() { Vibration = 2, Temperature = 120, Current = 9 },
];
IEnumerable<Verdict> verdicts = ml.Data.CreateEnumerable<Verdict>(
    detector.Transform(ml.Data.LoadFromEnumerable(rows)), reuseRowObject: false);
File.WriteAllText(Path.Combine(site, "rows.json"), JsonSerializer.Serialize(
    rows.Zip(verdicts, (row, verdict) => new { row.Vibration, row.Temperature, row.Current, verdict.Score, verdict.PredictedLabel }),
    JsonSerializerOptions.Web));

WebApplication app = WebApplication.Create(args);
app.UseFileServer(new FileServerOptions
{
    FileProvider = new PhysicalFileProvider(site),
    StaticFileOptions =
    {
        ContentTypeProvider = new FileExtensionContentTypeProvider
        {
            Mappings = { [".onnx"] = "application/octet-stream", [".mjs"] = "text/javascript", [".wasm"] = "application/wasm" },
        },
    },
});
Console.WriteLine($"The page is in {site}");
app.Run();
return 0;
