using System.Diagnostics;
using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Persistence;

[TestClass]
public sealed class ModelInAnotherProcessTests
{
    [TestMethod]
    public void A_process_that_names_no_type_of_the_package_loads_scores_and_saves_again()
    {
        string folder = Directory.CreateTempSubdirectory("genml").FullName;
        try
        {
            Row[] rows =
            [
                .. Enumerable.Range(0, 700)
                    .Select(i => new Row { A = MathF.Sin(i), B = MathF.Cos(i * 0.7f), C = i % 5 }),
            ];
            var ml = new MLContext(1);
            IDataView data = ml.Data.LoadFromEnumerable(rows);
            using TransformerChain<AutoencoderTransformer> chain = ml.Transforms.Concatenate("Features", "A", "B", "C")
                .Append(ml.Transforms.NormalizeMeanVariance("Features"))
                .Append(ml.AnomalyDetection.Trainers.Autoencoder(epochs: 3))
                .Fit(data);
            int[] expected = Scores(chain, data);

            string model = Path.Combine(folder, "model.zip"), again = Path.Combine(folder, "again.zip");
            string table = Path.Combine(folder, "rows.csv"), scores = Path.Combine(folder, "scores.txt");
            ml.Model.Save(chain, data.Schema, model);
            File.WriteAllLines(table, rows.Select(r => string.Create(CultureInfo.InvariantCulture, $"{r.A:R},{r.B:R},{r.C:R}")));
            Run(model, table, scores, again);

            CollectionAssert.AreEqual(
                expected, File.ReadLines(scores).Select(line => int.Parse(line, CultureInfo.InvariantCulture)).ToArray());
            ITransformer third = ml.Model.Load(again, out DataViewSchema schema);
            Assert.AreEqual(data.Schema.ToString(), schema.ToString());
            CollectionAssert.AreEqual(expected, Scores(third, data));
            ((IDisposable)third).Dispose();
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static int[] Scores(ITransformer model, IDataView data) =>
        [.. model.Transform(data).GetColumn<float>("Score").Select(BitConverter.SingleToInt32Bits)];

    private static void Run(params string[] arguments)
    {
        string host = Path.Combine(AppContext.BaseDirectory, "GenerativeML.ModelHost.dll");
        var start = new ProcessStartInfo(Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet", [host, .. arguments])
        {
            RedirectStandardError = true,
        };
        using Process process = Process.Start(start)!;
        string errors = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.AreEqual(0, process.ExitCode, errors);
    }

    public sealed class Row
    {
        public float A { get; set; }

        public float B { get; set; }

        public float C { get; set; }
    }
}
