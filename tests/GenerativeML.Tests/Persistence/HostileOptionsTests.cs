using System.IO.Compression;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using GenerativeML.Tests.Conformance;
using GenerativeML.Tests.Hostile;
using GenerativeML.Tests.Rows;
using GenerativeML.Tests.Tables;
using Microsoft.ML;
using TorchSharp;

namespace GenerativeML.Tests.Persistence;

[TestClass]
[DoNotParallelize]
public sealed class HostileOptionsTests
{
    [TestMethod]
    public void Damaged_options_load_soundly_or_are_refused_as_a_format_error()
    {
        var ml = new MLContext(1);
        TableView data = new TableView(20).AddVector("Features", 3, row => [row, -row, row == 4 ? float.NaN : 1]);
        using VectorTransformer trained = ml.AnomalyDetection.Trainers.Autoencoder(new()
        {
            Epochs = 1, HiddenLayers = [4], ReferenceRows = 2, NonFiniteValues = NonFiniteValues.Replace,
            FeatureScoreColumnName = "FeatureScore",
        }).Fit(data);
        Survives(ml, trained);
    }

    [TestMethod]
    public void Damaged_options_of_a_vae_load_soundly_or_are_refused_as_a_format_error()
    {
        var ml = new MLContext(1);
        TableView data = new TableView(20).AddVector("Features", 3, row => [row, -row, row % 3]);
        using VectorGenerator trained = ml.AnomalyDetection.Trainers.VariationalAutoencoder(new VaeOptions
        {
            Epochs = 1, HiddenLayers = [4], ReferenceRows = 2, FeatureScoreColumnName = "FeatureScore",
        }).Fit(data);
        Survives(ml, trained);
    }

    [TestMethod]
    public void Damaged_options_of_a_convolutional_vae_load_soundly_or_are_refused_as_a_format_error()
    {
        var ml = new MLContext(1);
        TableView data = new TableView(20).AddVector("Features", 4, row => [row, -row, row % 3, row % 2]);
        using VectorGenerator trained = ml.Generative.ImageVae(new ImageVaeOptions
        {
            Epochs = 1, Channels = [2], HiddenWidth = 3, ScoreColumnName = "Score", Score = VaeScore.Novelty,
        }).Fit(data);
        Survives(ml, trained);
    }

    [TestMethod]
    public void Damaged_options_of_a_diffusion_model_of_tables_load_soundly_or_are_refused_as_a_format_error()
    {
        var ml = new MLContext(1);
        using TabularTransformer trained = ml.Generative.TabularDiffusion(new TabularDiffusionOptions
        {
            Epochs = 1, HiddenWidth = 4, Blocks = 1, SamplingSteps = 3, ColumnNames = ["Single", "Colour"],
        }).Fit(MixedTable.Rows(30));
        Survives(ml, trained);
    }

    [TestMethod]
    public void Damaged_options_of_a_table_load_soundly_or_are_refused_as_a_format_error()
    {
        var ml = new MLContext(1);
        using TabularTransformer trained = ml.Generative.TabularVae(new TabularVaeOptions
        {
            Epochs = 1, HiddenWidth = 4,
            Constraints =
                [new TableConstraint.FixedCombinations("Key", "Colour"), new TableConstraint.AtMost("Int16", "Int32")],
        }).Fit(MixedTable.Rows(30));
        Survives(ml, trained);
    }

    [TestMethod]
    public void Damaged_options_of_a_Bayesian_network_load_soundly_or_are_refused_as_a_format_error()
    {
        var ml = new MLContext(1);
        using BayesianNetworkTransformer trained = ml.AnomalyDetection.Trainers.BayesianNetwork(new()
        {
            ColumnNames = ["Single", "Colour", "Key"], Bins = 4, PValueColumnName = "P", RequiredEdges = [new("Colour", "Key")],
            BinEdges = new() { ["Single"] = [1, 2] },
        }).Fit(MixedTable.Rows(30));
        Survives(ml, trained);
    }

    [TestMethod]
    public void Damaged_options_of_a_model_of_series_load_soundly_or_are_refused_as_a_format_error()
    {
        var ml = new MLContext(1);
        TableView data = new TableView(20).AddVector("Features", 2, row => [row, row % 3]);
        using AutoregressiveSeriesTransformer trained = ml.Generative.AutoregressiveSeries(new()
        {
            Epochs = 1, WindowLength = 4, Width = 2, Layers = 1,
        }).Fit(data);
        Survives(ml, trained);
    }

    [TestMethod]
    [DataRow("sequence autoencoder")]
    [DataRow("sketch rnn")]
    [DataRow("coconet")]
    [DataRow("spiral")]
    [DataRow("wavenet of a spectrogram")]
    public void Damaged_options_of_a_family_in_time_load_soundly_or_are_refused_as_a_format_error(string name)
    {
        var ml = new MLContext(1);
        var family = (ConformanceCase)EstimatorConformance.All.Single(f => f[0].ToString() == name)[0];
        ITransformer trained = family.Make(ml, new() { Epochs = 1 }).Fit(ConformanceData.Table(20));
        using (trained as IDisposable)
            Survives(ml, trained);
    }

    private static void Survives(MLContext ml, ITransformer trained)
    {
        byte[] options = EntryOf(ml, trained, "options.json"), weights = EntryOf(ml, trained, "weights.safetensors");
        long tensors = torch.Tensor.TotalCount;
        int sound = 0;
        HostileReport report = new HostileRun("options", FileMutator.Json([options]).Damage, file =>
        {
            try
            {
                (ModelFamily family, JsonElement saved) = ModelFile.ReadOptions(new MemoryStream(file));
                using var model = (IDisposable)family.Load(ml, saved, new MemoryStream(weights));
                sound++;
            }
            finally
            {
                Assert.AreEqual(tensors, torch.Tensor.TotalCount, "a tensor was left behind");
            }
        })
        {
            AllocationPerByte = 64,
            FixedAllocation = 1 << 20,
        }.Run(2000);
        Assert.HasCount(0, report.Failures, report.ToString());
        Assert.IsGreaterThan(0, sound, "no damage was harmless: is the test reading what it should?");
        Assert.IsGreaterThan(1000, report.Refused, report.ToString());
    }

    private static byte[] EntryOf(MLContext ml, ITransformer model, string name)
    {
        using var zip = new MemoryStream();
        ml.Model.Save(model, null, zip);
        using var archive = new ZipArchive(zip);
        using Stream entry = archive.Entries.Single(e => e.FullName.EndsWith(name, StringComparison.Ordinal)).Open();
        using var content = new MemoryStream();
        entry.CopyTo(content);
        return content.ToArray();
    }
}
