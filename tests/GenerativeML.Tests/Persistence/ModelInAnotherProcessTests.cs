using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Persistence;

[TestClass]
public sealed class ModelInAnotherProcessTests
{
    [TestMethod]
    [DataRow("hidden markov", false)]
    [DataRow("autoregressive series", false)]
    [DataRow("sequence autoencoder", false)]
    [DataRow("autoencoder", true, DisplayName = "autoencoder; torch is there and is not loaded")]
    [DataRow("autoencoder", false, DisplayName = "autoencoder; torch is not there")]
    [DataRow("vae", true, DisplayName = "VAE; torch is there and is not loaded")]
    [DataRow("vae", false, DisplayName = "VAE; torch is not there")]
    public void A_process_that_names_no_type_of_the_package_loads_scores_and_saves_again(
        string family, bool torchIsThere)
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
            var features = ml.Transforms.Concatenate("Features", "A", "B", "C")
                .Append(ml.Transforms.NormalizeMeanVariance("Features"));
            AnomalyDetectionCatalog.AnomalyDetectionTrainers trainers = ml.AnomalyDetection.Trainers;
            ITransformer chain = family == "vae"
                ? features.Append(trainers.VariationalAutoencoder(epochs: 3)).Fit(data)
                : family == "hidden markov" ? features.Append(trainers.HiddenMarkov(new() { Epochs = 3 })).Fit(data)
                : family == "autoregressive series"
                    ? features.Append(trainers.AutoregressiveSeries(new() { Epochs = 1, Width = 4 })).Fit(data)
                : family == "sequence autoencoder"
                    ? features.Append(trainers.SequenceAutoencoder(new() { Epochs = 1, Width = 4, Layer = SequenceLayer.Lstm })).Fit(data)
                : features.Append(trainers.Autoencoder(epochs: 3)).Fit(data);
            using var disposable = (IDisposable)chain;
            int[] expected = Scores(chain, data);

            string model = Path.Combine(folder, "model.zip"), again = Path.Combine(folder, "again.zip");
            string table = Path.Combine(folder, "rows.csv"), scores = Path.Combine(folder, "scores.txt");
            ml.Model.Save(chain, data.Schema, model);
            File.WriteAllLines(table, rows.Select(r => string.Create(CultureInfo.InvariantCulture, $"{r.A:R},{r.B:R},{r.C:R}")));
            string program = torchIsThere
                ? AppContext.BaseDirectory
                : TorchlessProcess.CopyManaged(Path.Combine(folder, "program"));
            (int code, string[] modules, string errors) =
                TorchlessProcess.Run(program, "GenerativeML.ModelHost.dll", model, table, scores, again);
            Assert.AreEqual(0, code, errors);
            TorchlessProcess.AssertTorchless(modules);

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

    public sealed class Row
    {
        public float A { get; set; }

        public float B { get; set; }

        public float C { get; set; }
    }
}
