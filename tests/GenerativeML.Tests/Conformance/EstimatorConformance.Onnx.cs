using System.Globalization;
using GenerativeML.TestData;
using GenerativeML.Tests.Rows;

namespace GenerativeML.Tests.Conformance;

public sealed partial class EstimatorConformance
{
    /// <summary>What every family can be as a file; who is not here can be none.</summary>
    private static readonly Dictionary<string, OnnxContent[]> s_files = new()
    {
        ["autoencoder"] = [OnnxContent.Transform],
        ["autoencoder featurizer"] = [OnnxContent.Transform],
        ["autoencoder denoiser"] = [OnnxContent.Transform],
        ["vae detector"] = [OnnxContent.Transform, OnnxContent.Generate],
        ["vae"] = [OnnxContent.Transform, OnnxContent.Generate],
        ["image vae"] = [OnnxContent.Transform, OnnxContent.Generate],
        ["image autoencoder"] = [OnnxContent.Transform],
        ["gan"] = [OnnxContent.Transform, OnnxContent.Generate],
        ["gan with latent search"] = [OnnxContent.Generate],
        ["image gan"] = [OnnxContent.Transform, OnnxContent.Generate],
        ["residual image gan"] = [OnnxContent.Transform, OnnxContent.Generate],
        ["progressive image gan"] = [OnnxContent.Transform, OnnxContent.Generate],
        ["style image gan"] = [OnnxContent.Transform, OnnxContent.Generate],
        ["cycle gan"] = [OnnxContent.Transform],
        ["normalizing flow"] = [OnnxContent.Transform, OnnxContent.Generate],
        ["diffusion"] = [OnnxContent.Transform, OnnxContent.Denoise],
        ["gaussian mixture"] = [OnnxContent.Transform, OnnxContent.Generate],
        ["rbm"] = [OnnxContent.Transform, OnnxContent.Generate],
        ["boltzmann machine"] = [OnnxContent.Transform, OnnxContent.Generate],
        ["deep belief network"] = [OnnxContent.Transform, OnnxContent.Generate],
        ["hidden markov"] = [OnnxContent.Step],
        ["hidden markov series"] = [OnnxContent.Step],
        ["sequence autoencoder"] = [OnnxContent.Windows],
        ["autoregressive series"] = [OnnxContent.Windows],
        ["gpt"] = [OnnxContent.Logits, OnnxContent.LogitsWithCache],
        ["recurrent language model"] = [OnnxContent.Logits, OnnxContent.LogitsWithCache],
        ["sequence to sequence"] = [OnnxContent.Logits, OnnxContent.LogitsWithCache, OnnxContent.Encode],
        ["masked language model"] = [OnnxContent.Logits],
        ["sketch rnn"] = [OnnxContent.Encode, OnnxContent.Step, OnnxContent.Begin],
        ["spiral"] = [OnnxContent.Step],
        ["coconet"] = [OnnxContent.Logits],
        ["wavenet"] = [OnnxContent.Logits, OnnxContent.Step],
        ["wavenet of a spectrogram"] = [OnnxContent.Logits, OnnxContent.Step],
    };

    [TestMethod]
    [DynamicData(nameof(Families))]
    public void Every_ONNX_file_gives_a_thousand_rows_as_torch_does(ConformanceCase family)
    {
        TableView data = ConformanceData.Vectors(OnnxAgainstTorch.Rows, (row, v) => v[row % 4] = row % 100 == 99 ? float.NaN : v[row % 4]);
        OnnxFinding[] files = [.. OnnxAgainstTorch.Findings(Trained(family), data)];
        CollectionAssert.AreEqual(s_files.GetValueOrDefault(family.Name, []), files.Select(file => file.Content).ToArray());
        foreach (OnnxFinding file in files)
        {
            Assert.AreEqual(20, file.Opset);
            string text = string.Create(CultureInfo.InvariantCulture, $"{file.Content}: {file.Worst} differs by {file.Difference:g3}");
            Assert.IsLessThanOrEqualTo(1e-5, file.Difference, text);
        }
    }
}
