using GenerativeML.Tests.Hostile;
using GenerativeML.Tests.Images;
using Microsoft.ML;
using TorchSharp;

namespace GenerativeML.Tests.Persistence;

/// <summary>Damaged saved models, by ML.NET's loader; <c>build/bench.sh hostile</c> tries many more.</summary>
[TestClass]
public sealed class HostileModelTests
{
    private const int Files = 250;

    private static readonly HostileModels s_models = new();

    // One that has a network from elsewhere among its weights.
    private static readonly Lazy<HostileModels> s_backbones = new(() => new HostileModels(
        ml => ml.AnomalyDetection.Trainers.PatchCore(new PatchCoreOptions
        {
            NetworkPath = ImageNetworks.HalvingsPath, ImageShape = new(1, 8, 8), CandidatePatches = 20, AnomalyMapColumnName = "Map",
            PredictedLabelColumnName = null, Seed = 1,
        }), width: 64));

    [TestMethod]
    public void Damaged_options_in_a_model_load_soundly_or_are_refused() => Holds(s_models.Own(".json"));

    [TestMethod]
    public void Damaged_weights_in_a_model_load_soundly_or_are_refused() => Holds(s_models.Own(".safetensors"));

    [TestMethod]
    public void Damaged_model_zips_load_soundly_or_are_refused() => Holds(s_models.Whole());

    [TestMethod]
    public void Damaged_options_of_a_model_with_a_network_load_soundly_or_are_refused() => Holds(s_backbones.Value.Own(".json"));

    [TestMethod]
    public void Damaged_weights_of_a_model_with_a_network_load_soundly_or_are_refused() => Holds(s_backbones.Value.Own(".safetensors"));

    private static void Holds(HostileRun run)
    {
        long before = torch.Tensor.TotalCount;
        HostileReport report = run.Run(Files);
        Assert.IsEmpty(report.Failures, report.ToString());
        Assert.IsGreaterThan(0, report.Refused, "there was no damage");
        Assert.AreEqual(before, torch.Tensor.TotalCount, "tensors are left behind");
    }
}
