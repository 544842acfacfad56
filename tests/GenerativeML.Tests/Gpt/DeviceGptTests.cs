using TorchSharp;

namespace GenerativeML.Tests;

/// <summary>
/// The decoder for devices, run on the CPU: what the one in managed code gives, and nothing left behind.
/// </summary>
[TestClass]
public sealed class DeviceGptTests
{
    [TestMethod]
    [DataRow(GeluForm.Tanh, true)]
    [DataRow(GeluForm.Erf, false)]
    public void Logits_are_those_of_the_managed_decoder_however_tokens_are_run(GeluForm gelu, bool biases)
    {
        GptShape shape = RandomGpt.Shape(biases: biases, gelu: gelu);
        GptWeights weights = RandomGpt.Weights(shape);
        using var device = new DeviceGpt(weights, torch.CPU);
        IGptDecoder theirs = device.NewDecoder(), ours = new GptDecoder(DecoderWeights.Pack(weights), threads: 1);
        using ISequenceCache first = theirs.NewCache(), second = theirs.NewCache();
        using ISequenceCache ourFirst = ours.NewCache(), ourSecond = ours.NewCache();
        int[] a = RandomGpt.Tokens(12), b = RandomGpt.Tokens(9, seed: 2);
        // A prompt alone; a token of one and a prompt of the other; one of each, twice; the rest of one.
        (bool IsFirst, int From, int To)[][] runs =
        [
            [(true, 0, 5)], [(true, 5, 6), (false, 0, 4)], [(true, 6, 7), (false, 4, 5)], [(false, 5, 6), (true, 7, 8)],
            [(true, 8, 12), (false, 6, 9)],
        ];
        foreach ((bool, int, int)[] run in runs)
        {
            float[] expected = Logits(ours, run, ourFirst, ourSecond), actual = Logits(theirs, run, first, second);
            for (int i = 0; i < expected.Length; i++)
                Assert.AreEqual(expected[i], actual[i], 1e-4f);
        }

        float[] Logits(
            IGptDecoder decoder, (bool IsFirst, int From, int To)[] run, ISequenceCache cacheA, ISequenceCache cacheB)
        {
            List<DecoderRow> rows = [];
            foreach ((bool isFirst, int from, int to) in run)
            {
                for (int i = from; i < to; i++)
                    rows.Add(new(isFirst ? cacheA : cacheB, (isFirst ? a : b)[i], i));
            }
            decoder.Run([.. rows]);
            var logits = new float[rows.Count * decoder.LogitStride];
            decoder.Logits(0, rows.Count, logits);
            return
            [
                .. Enumerable.Range(0, rows.Count).SelectMany(
                    row => logits[(row * decoder.LogitStride)..][..shape.VocabularySize]),
            ];
        }
    }

    [TestMethod]
    public void Texts_and_scores_are_those_of_the_managed_decoder_and_every_tensor_is_freed()
    {
        GptWeights weights = RandomGpt.Weights(RandomGpt.Shape());
        using var ours = new TrainedGpt(weights);
        using (var warm = new DeviceGpt(weights, torch.CPU))
            warm.NewDecoder();
        long before = torch.Tensor.TotalCount;
        using (var theirs = new TrainedGpt(DecoderWeights.Pack(weights), new DeviceGpt(weights, torch.CPU)))
        {
            long withModel = torch.Tensor.TotalCount;
            GenerationOptions greedy = new() { Temperature = 0, MaxNewTokens = 30 };
            int[][] prompts = [[1], [2, 3, 4], RandomGpt.Tokens(20)];
            CollectionAssert.AreEqual(Texts(ours, prompts, greedy), Texts(theirs, prompts, greedy));
            CollectionAssert.AreEqual(
                ours.Stream([1, 2], greedy).ToArray().Select(t => t.Id).ToArray(),
                theirs.Stream([1, 2], greedy).ToArray().Select(t => t.Id).ToArray());
            Assert.AreEqual(3, theirs.Stream([1, 2], greedy).Take(3).Count()); // one that is left early

            float[] expected = new float[3], actual = new float[3];
            float[] hidden = new float[3 * weights.Shape.Width], theirHidden = new float[3 * weights.Shape.Width];
            ours.Evaluate(prompts, expected, hidden);
            theirs.Evaluate(prompts, actual, theirHidden);
            for (int i = 1; i < 3; i++)
                Assert.AreEqual(expected[i], actual[i], 1e-4f);
            for (int i = 0; i < hidden.Length; i++)
                Assert.AreEqual(hidden[i], theirHidden[i], 1e-4f);
            Assert.AreEqual(withModel, torch.Tensor.TotalCount);
        }
        Assert.AreEqual(before, torch.Tensor.TotalCount);
    }

    [TestMethod]
    public void A_device_that_is_not_there_is_an_error_unless_the_CPU_may_stand_in()
    {
        if (torch.cuda.is_available())
            Assert.Inconclusive("There is one.");
        GptWeights weights = RandomGpt.Weights(RandomGpt.Shape());
        Assert.ThrowsExactly<InvalidOperationException>(() => new TrainedGpt(weights, ComputeDevice.Cuda()));
        using var fallen = new TrainedGpt(weights, ComputeDevice.Cuda(), fallbackToCpu: true);
        using var auto = new TrainedGpt(weights, ComputeDevice.Auto);
        foreach (TrainedGpt model in (TrainedGpt[])[fallen, auto])
            Assert.AreEqual(2, model.Stream([1], new() { MaxNewTokens = 2 }).Count());
    }

    private static string[] Texts(TrainedGpt model, int[][] prompts, GenerationOptions options)
    {
        var texts = new string[prompts.Length];
        model.Generate(
            prompts, options,
            (number, token) =>
            {
                texts[number] += $" {token.Id}";
                return true;
            });
        return texts;
    }
}
