using System.Text.Json;
using GenerativeML.Benchmarks;

namespace GenerativeML.Tests.Benchmarks;

/// <summary>What <c>images</c> writes of its runs, and the recipes of others that it runs beside them.</summary>
[TestClass]
public sealed class ImageResultTests
{
    private static readonly string[] s_wanted =
    [
        "family", "data", "seed", "steps", "seconds", "frechet", "frechet_floor", "kernel_distance", "precision", "recall",
        "coverage", "gan_test", "nearest_ratio",
    ];

    private static ImageResult Result(string family, double frechet) => new()
    {
        Family = family, Data = "digits", Seed = 2, Steps = 1500, Seconds = 9.5, CpuSeconds = 8, Frechet = frechet,
        Recall = 0.75, Coverage = 0.5,
    };

    [TestMethod]
    public void A_record_has_its_figures_and_the_peers_beside_them()
    {
        ImageResult ours = Result("gan", 20) with
        {
            Game = GanObjective.LeastSquares, GanTest = 0.97, GanTestByClass = [1, double.NaN], ClassShares = [1, 0],
            Peer = Result("peer", 50),
        };
        string path = Path.GetTempFileName();
        ImageResult.Write(path, [ours]);
        using var json = JsonDocument.Parse(File.ReadAllText(path));
        File.Delete(path);
        JsonElement record = json.RootElement[0], peer = record.GetProperty("peer");
        foreach (string name in s_wanted)
        {
            Assert.IsTrue(record.TryGetProperty(name, out _), name);
            Assert.IsTrue(peer.TryGetProperty(name, out _), name);
        }
        Assert.AreEqual("LeastSquares", record.GetProperty("objective").GetString());
        Assert.AreEqual(0.97, record.GetProperty("gan_test").GetDouble());
        Assert.AreEqual("NaN", record.GetProperty("gan_test_by_class")[1].GetString());
        Assert.AreEqual(JsonValueKind.Null, peer.GetProperty("gan_test").ValueKind);
        Assert.AreEqual(JsonValueKind.Null, peer.GetProperty("peer").ValueKind);
        Assert.AreEqual(50, peer.GetProperty("frechet").GetDouble());
    }

    [TestMethod]
    public void A_line_has_as_many_cells_as_the_header_and_the_share_of_the_peers_distance()
    {
        string line = $"{Result("gan", 20) with { Peer = Result("peer", 50) }}";
        int cells = line.Count(c => c == '|');
        Assert.IsTrue(ImageResult.Header.Split('\n').All(of => of.Count(c => c == '|') == cells), line);
        StringAssert.Contains(line, "| 20.0 | 0.40 |");
        Assert.AreEqual(cells, $"{Result("gan", 20)}".Count(c => c == '|'));
    }

    [TestMethod]
    public void A_Wasserstein_game_is_compared_with_one_and_all_others_with_the_tutorial()
    {
        Assert.AreEqual("PyTorch-GAN WGAN-GP", GanPeer.Of(GanObjective.Wasserstein).Name);
        Assert.AreEqual("PyTorch-GAN WGAN-GP", GanPeer.Of(GanObjective.WassersteinGradientPenalty).Name);
        Assert.AreEqual("DCGAN tutorial", GanPeer.Of(GanObjective.Hinge).Name);
        Assert.AreEqual("DCGAN tutorial", GanPeer.Of(null).Name);
    }

    [TestMethod]
    [DataRow(0)]
    [DataRow(1)]
    public void A_recipe_learns_which_half_is_bright(int recipe)
    {
        var random = new Random(1);
        float[][] images =
        [
            .. Enumerable.Range(0, 200).Select(_ => Enumerable.Range(0, 16)
                .Select(i => (i % 4 < 2 ? 0.7f : 0) + 0.3f * random.NextSingle()).ToArray()),
        ];
        float[][] first = Made(1, 5), later = Made(80, 200), again = Made(1, 5);
        Assert.HasCount(200, later);
        Assert.IsTrue(later.All(image => image.Length == 16 && image.All(v => v is >= 0 and <= 1)));
        CollectionAssert.AreEqual(first[4], again[4]);
        Assert.IsLessThan(0.1, Math.Abs(Difference(first)));
        Assert.IsGreaterThan(0.35, Difference(later)); // half of what images have

        float[][] Made(int steps, int count) => GanPeer.All[recipe].Train(images, new ImageShape(1, 4, 4), steps, seed: 3)(count);

        static double Difference(float[][] rows) => rows.Average(row => row.Select((v, i) => i % 4 < 2 ? v : -v).Sum() / 8);
    }
}
