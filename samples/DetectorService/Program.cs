using DetectorService;

// dotnet run -c Release --project samples/DetectorService -- --detector detector.zip --gpt gpt.zip --urls http://localhost:5080
//
//   curl localhost:5080/score -H 'Content-Type: application/json' \
//        -d '[{"vibration":0.2,"temperature":60,"current":1.1},{"vibration":0.9,"temperature":40,"current":0.6}]'
//   curl -N localhost:5080/generate -H 'Content-Type: application/json' -d '{"prompt":"Returns the","maxTokens":60}'
//
// Another detector takes over when it is written to the file: while this runs, train one and rename it to detector.zip.
IConfiguration arguments = new ConfigurationBuilder().AddCommandLine(args).Build();
string detector = arguments["detector"] ?? "detector.zip";
if (!File.Exists(detector))
{
    Console.WriteLine($"There is no {detector}: training one on simulated readings of a pump.");
    Detector.Train(detector, rows: 20_000);
}
await using WebApplication service = Service.Build(args, detector, arguments["gpt"]);
service.Run();
