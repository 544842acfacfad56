using GenerativeML.Persistence;
using Microsoft.ML;
using Microsoft.ML.Runtime;

namespace GenerativeML.Tests.Platform;

/// <summary>The environment: what is logged, and what a host inherits.</summary>
[TestClass]
public sealed class EnvironmentTests
{
    [TestMethod]
    public void Information_of_a_channel_is_logged_and_a_progress_checkpoint_is_not()
    {
        var ml = new MLContext();
        var logged = new List<LoggingEventArgs>();
        ml.Log += (_, entry) => logged.Add(entry);
        IHost host = ((IHostEnvironment)ml).Register("Trainer");
        using (IChannel channel = host.Start("Training"))
        using (IProgressChannel progress = host.StartProgressChannel("Progress"))
        {
            progress.SetHeader(new ProgressHeader(["Loss"], ["rows"]), entry => entry.SetProgress(0, 1));
            progress.Checkpoint(0.5, 10);
            channel.Info(MessageSensitivity.None, "epoch {0}", 3);
            channel.Info(MessageSensitivity.None, "{ as it stands }");
        }
        CollectionAssert.AreEqual(
            new[] { "epoch 3", "{ as it stands }" },
            logged.Where(entry => entry.Kind == ChannelMessageKind.Info).Select(entry => entry.RawMessage).ToArray());
        Assert.IsTrue(logged.All(entry => entry.Source == "Trainer; Training"));
        Assert.IsTrue(logged.All(entry => entry.Message == $"[Source=Trainer; Training, Kind={entry.Kind}] {entry.RawMessage}"));
    }

    [TestMethod]
    public void A_host_takes_the_settings_of_the_context_as_they_are_when_it_registers()
    {
        var ml = new MLContext(seed: 7) { GpuDeviceId = 1, FallbackToCpu = true };
        IHost host = ((IHostEnvironment)ml).Register("Trainer");
        ml.GpuDeviceId = 2;
        Assert.AreEqual(1, MLNetInternals.GpuDeviceIdOf(host));
        Assert.IsTrue(MLNetInternals.FallbackToCpuOf(host));
        Assert.AreEqual(7, MLNetInternals.SeedOf(host));
        Assert.AreEqual(2, MLNetInternals.GpuDeviceIdOf(ml));
        Assert.IsNull(MLNetInternals.SeedOf(new MLContext()));
        Assert.IsFalse(new MLContext().FallbackToCpu);
    }

    [TestMethod]
    public void Equal_seeds_give_hosts_equal_generators()
    {
        int First(int? seed) => ((IHostEnvironment)new MLContext(seed)).Register("Trainer").Rand.Next();
        Assert.AreEqual(First(1), First(1));
        Assert.AreNotEqual(First(1), First(2));
    }

    [TestMethod]
    public void A_catalog_knows_the_environment()
    {
        var ml = new MLContext(seed: 9) { GpuDeviceId = 4 };
        foreach (object catalog in (object[])[ml.Transforms, ml.AnomalyDetection, ml.AnomalyDetection.Trainers, ml.Model, ml.Data])
        {
            Assert.AreEqual(4, MLNetInternals.GpuDeviceIdOf(MLNetInternals.EnvironmentOf(catalog)));
            Assert.AreEqual(9, MLNetInternals.SeedOf(MLNetInternals.EnvironmentOf(catalog)));
        }
    }
}
