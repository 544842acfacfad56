using System.IO.Compression;
using System.Text.RegularExpressions;
using Microsoft.ML;
using Microsoft.ML.Data;
using TorchSharp;

namespace GenerativeML.Tests.Music;

[TestClass]
[DoNotParallelize]
public sealed class CoconetTests
{
    private static readonly MLContext s_ml = new(1);

    private static readonly CoconetOptions s_small = new()
    {
        Window = 8, Width = 32, Blocks = 2, Dropout = 0, Transposition = 0, BatchSize = 8, ScoreColumnName = "Score", GibbsSteps = 12, Seed = 2,
    };

    [TestMethod]
    public void A_hidden_note_says_nothing_and_known_ones_do()
    {
        // By gradients: what is fed in the place of a hidden note is zero, so its class cannot reach the logits.
        using DisposeScope scope = torch.NewDisposeScope();
        var network = new CoconetNetwork(s_small with { Blocks = 1 }, new(2, 60, 63));
        using var layers = new TorchLayers(network.Declare, torch.CPU, 3);
        Scope<TorchTensor> w = new TorchOps(layers.Tensors).Root;
        torch.Tensor notes = torch.randint(5, [1, 16], generator: new torch.Generator(1)), other = notes.clone();
        other[0, 5] = torch.tensor((notes[0, 5].item<long>() + 1) % 5);
        torch.Tensor hidden = torch.zeros(1, 16), inside = torch.ones(1, 8);
        hidden[0, 5] = torch.tensor(1f);
        float Loss(torch.Tensor played, torch.Tensor part) =>
            network.Loss(w, new([played, inside, part], 1), 0, default)[0].Value.item<float>();
        torch.Tensor wider = hidden.clone();
        wider[0, 6] = torch.tensor(1f);
        // Only the hidden note's own term changes with it: the loss of another hidden one does not.
        double one = Loss(notes, hidden), both = Loss(notes, wider);
        Assert.AreNotEqual(one, both);
        torch.Tensor justOther = torch.zeros(1, 16);
        justOther[0, 6] = torch.tensor(1f);
        Assert.AreNotEqual(Loss(notes, justOther), Loss(other, justOther)); // note 5 is known there, and tells of note 6
        double sum = 2 * both - 2 * Loss(other, wider); // of both terms, only note 5's own can differ
        torch.Tensor logs = Logits(notes), changed = Logits(other); // equal: note 5 is hidden in both
        double expected = -(logs[5, notes[0, 5].item<long>()] - changed[5, other[0, 5].item<long>()]).item<float>();
        Assert.AreEqual(expected, sum, 1e-4);

        torch.Tensor Logits(torch.Tensor played)
        {
            torch.Tensor known = 1 - wider;
            torch.Tensor each = torch.zeros(1, 16, 5).scatter_(-1, played.unsqueeze(-1), known.unsqueeze(-1));
            return network.Logits<TorchTensor>(w, each, known, inside).Value.view(16, 5).log_softmax(-1);
        }
    }

    [TestMethod]
    public void A_trained_model_fills_in_what_follows_from_the_rest_and_scores_what_does_not_higher()
    {
        // The second voice is always seven semitones below the first, which goes up and down in steps of two.
        using CoconetTransformer model = s_ml.Generative.Coconet(s_small with { Steps = 250, LearningRate = 1e-2 })
            .Fit(Rows(Enumerable.Range(0, 40).Select(Piece)));
        Assert.AreEqual((2, 53, 66), (model.Voices, model.LowestPitch, model.HighestPitch));
        VoiceGrid piece = VoiceGrid.Parse(Piece(99));
        model.Temperature = 0.1;
        Assert.AreEqual(piece.ToString(), model.Infill(piece.Only(0)).ToString());
        Assert.AreEqual(piece.ToString(), model.Infill(piece.Only(1)).ToString());
        // Longer than a window, and what was known stays.
        VoiceGrid longer = VoiceGrid.Parse($"{Piece(3)} {Piece(4)} {Piece(5)}");
        VoiceGrid filled = model.Infill(longer.Only(1));
        int right = 0;
        for (int step = 0; step < longer.Steps; step++)
        {
            Assert.AreEqual(longer[step, 1], filled[step, 1]);
            right += longer[step, 0] == filled[step, 0] ? 1 : 0;
        }
        Assert.IsGreaterThan(longer.Steps * 9 / 10, right);

        VoiceGrid wrong = piece.With((step, voice) => step is 3 or 5 && voice == 1 ? 60 : piece[step, voice]);
        Assert.IsGreaterThan(model.Score(piece) + 0.3, model.Score(wrong));
        string[] made = [.. model.Generate(20, seed: 3).GetColumn<string>("Music")];
        Assert.AreSequenceEqual(made[..4], [.. model.Generate(4, seed: 3).GetColumn<string>("Music")]);
        int fits = made.Select(VoiceGrid.Parse).Sum(grid => Enumerable.Range(0, grid.Steps).Count(step => grid[step, 0] - grid[step, 1] == 7));
        Assert.IsGreaterThan(20 * 8 / 2, fits); // by chance about a seventh would
    }

    [TestMethod]
    public void Scores_are_means_over_hidden_parts_of_what_torch_says()
    {
        using CoconetTransformer model = s_ml.Generative.Coconet(s_small with { Steps = 5, ScoreMasks = 3 }).Fit(Rows([Piece(1), Piece(2)]));
        VoiceGrid piece = VoiceGrid.Parse(Piece(7));
        CoconetModel inner = model.Model;
        using DisposeScope scope = torch.NewDisposeScope();
        Dictionary<string, torch.Tensor> weights = inner.Weights.ToTensors(torch.CPU);
        Scope<TorchTensor> w = new TorchOps(weights).Root;
        // The same parts, by the same random numbers; notes of the network stand voice by voice.
        var random = new SplitMix64(SplitMix64.Derive(0, RandomPurpose.Scoring));
        long[] notes = [.. from voice in Enumerable.Range(0, 2) from step in Enumerable.Range(0, 8) select (long)inner.Network.Range.ClassOf(piece[step, voice])];
        double sum = 0;
        for (int part = 0; part < 3; part++)
        {
            int[] order = [.. Enumerable.Range(0, 16)];
            random.Shuffle<int>(order);
            float[] hidden = new float[16];
            foreach (int note in order[..(1 + random.Next(16))])
                hidden[note % 2 * 8 + note / 2] = 1;
            var batch = new Batch([torch.tensor(notes).view(1, 16), torch.eye(4).repeat(2, 1).view(1, 32), torch.tensor(hidden).view(1, 16)], 1);
            sum += inner.Network.Loss(w, batch, 0, default)[0].Value.item<float>();
        }
        Assert.AreEqual(sum / 3, model.Score(piece), 1e-4);
        Assert.IsTrue(double.IsNaN(model.Score(piece.Only())));
        foreach (torch.Tensor weight in weights.Values)
            weight.Dispose();
    }

    [TestMethod]
    public void The_metre_of_a_window_counts_from_the_first_step_of_the_piece()
    {
        // A window of three steps from the sixth of a piece of seven, four steps a beat: the second of one, and the third.
        var network = new CoconetNetwork(s_small with { Window = 3, MetreSteps = 4 }, new(1, 60, 61));
        float[] inside = new float[12];
        network.Place(inside, start: 5, steps: 2);
        Assert.AreSequenceEqual(new float[] { 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0 }, inside);
        Assert.AreEqual(4, new CoconetOptions().Resolve(1).MetreSteps);
        foreach (int wrong in (int[])[0, -4, 1025])
            StringAssert.Contains(Assert.Throws<ArgumentOutOfRangeException>(
                () => s_ml.Generative.Coconet(s_small with { MetreSteps = wrong })).Message, "MetreSteps");
    }

    [TestMethod]
    public void Where_notes_change_on_the_beat_alone_a_hidden_one_is_its_own_beats()
    {
        // Windows of six steps begin anywhere in a beat of four, in training and in scoring.
        var random = new SplitMix64(5);
        string[] beats = [.. Enumerable.Range(0, 60).Select(_ => string.Join(' ', Enumerable.Range(0, 6).SelectMany(_ => Enumerable.Repeat(Pitch(), 4))))];
        using CoconetTransformer model = s_ml.Generative.Coconet(s_small with { Window = 6, MetreSteps = 4, Steps = 300, LearningRate = 1e-2 }).Fit(Rows(beats));
        model.Temperature = 0.1;
        using CoconetTransformer loaded = Loaded(Saved(model));
        Check(model);
        Check(loaded);

        int Pitch() => 60 + random.Next(5);

        // Of the three steps around a hidden one two are known, and all else is not: the beat alone tells which it is like.
        static void Check(CoconetTransformer asked)
        {
            for (int step = 3; step < 20; step++)
            {
                if (step % 4 is not (0 or 3))
                    continue;
                int[] notes = [.. Enumerable.Repeat(VoiceGrid.Unknown, 24)];
                (notes[step - 1], notes[step + 1]) = (60, 64);
                Assert.AreEqual(step % 4 == 0 ? 64 : 60, asked.Infill(new(notes.Select(n => new[] { n })))[step, 0], $"step {step}");
            }
        }
    }

    [TestMethod]
    public void A_model_saved_before_there_was_a_metre_loads_without_one()
    {
        using CoconetTransformer model = s_ml.Generative.Coconet(s_small with { MetreSteps = 1, Steps = 3 }).Fit(Rows([Piece(1), Piece(2)]));
        byte[] file = Saved(model);
        using (var content = new MemoryStream())
        {
            content.Write(file);
            using (var archive = new ZipArchive(content, ZipArchiveMode.Update, leaveOpen: true))
            {
                ZipArchiveEntry entry = archive.Entries.Single(e => e.FullName.EndsWith("options.json", StringComparison.Ordinal));
                string text, path = entry.FullName;
                using (var reader = new StreamReader(entry.Open()))
                    text = reader.ReadToEnd();
                string old = Regex.Replace(text, "\"metreSteps\": 1,", "");
                Assert.AreNotEqual(text, old);
                entry.Delete();
                using var writer = new StreamWriter(archive.CreateEntry(path).Open());
                writer.Write(old);
            }
            file = content.ToArray();
        }
        using CoconetTransformer loaded = Loaded(file);
        Assert.IsNull(loaded.Model.Network.Options.MetreSteps);
        Assert.AreEqual(model.Score(VoiceGrid.Parse(Piece(5))), loaded.Score(VoiceGrid.Parse(Piece(5))));
    }

    [TestMethod]
    public void Windows_see_each_step_once()
    {
        for (int steps = 0; steps < 60; steps++)
        {
            foreach (int window in (int[])[2, 8, 9])
            {
                int next = 0;
                foreach ((int start, int first, int end) in CoconetModel.Windows(steps, window))
                {
                    Assert.IsTrue(start >= 0 && (start + window <= steps || start == 0));
                    Assert.AreEqual(next, first);
                    Assert.IsTrue(first >= start && end <= start + window && end > first, $"{steps} steps, window {window}, from {start}: {first} to {end}");
                    next = end;
                }
                Assert.AreEqual(steps, next);
            }
        }
    }

    [TestMethod]
    public void Bad_music_is_refused()
    {
        string Fails(params string[] rows) =>
            Assert.Throws<InvalidOperationException>(() => s_ml.Generative.Coconet(s_small with { Steps = 1 }).Fit(Rows(rows))).Message;
        StringAssert.Contains(Fails("60,61", "60"), "Row 1 of column 'Music'");
        StringAssert.Contains(Fails("60,?"), "unknown notes");
        StringAssert.Contains(Fails("60,200"), "200");
        StringAssert.Contains(Fails("", ""), "no music to train on");
        StringAssert.Contains(
            Assert.Throws<InvalidOperationException>(() => s_ml.Generative.Coconet(s_small with { CacheBudgetBytes = 200 }).Fit(Rows([Piece(1), Piece(2)]))).Message,
            "The first 2 pieces need more memory than option CacheBudgetBytes allows, 200.");
        using CoconetTransformer model = s_ml.Generative.Coconet(s_small with { Steps = 1 }).Fit(Rows([Piece(1), Piece(2)]));
        StringAssert.Contains(Assert.Throws<InvalidOperationException>(() => model.Infill(VoiceGrid.Parse("60,?,?"))).Message, "3 voices");
        StringAssert.Contains(Assert.Throws<InvalidOperationException>(() => model.Infill(VoiceGrid.Parse("30,?"))).Message, "pitch 30");
        // Shorter than a window, one step, none, and all unknown.
        foreach ((string music, int steps) in ((string, int)[])[("60,? ?,55 62,?", 3), ("?,?", 1), ("", 0), ("-,?", 1)])
        {
            VoiceGrid asked = VoiceGrid.Parse(music), filled = model.Infill(asked, seed: 3);
            Assert.AreEqual((steps, true), (filled.Steps, filled.IsComplete));
            for (int i = 0; i < 2 * steps; i++)
                Assert.IsTrue(asked[i / 2, i % 2] == VoiceGrid.Unknown || filled[i / 2, i % 2] == asked[i / 2, i % 2]);
            Assert.AreEqual(filled.ToString(), model.Infill(asked, seed: 3).ToString());
        }
        Assert.IsTrue(double.IsNaN(model.Score(VoiceGrid.Parse(""))));
        IDataView empty = model.Transform(Rows(["", Piece(3)]));
        Assert.AreEqual("", empty.GetColumn<string>("Infilled").First());
        Assert.AreSequenceEqual(new[] { true, false }, [.. empty.GetColumn<float>("Score").Select(float.IsNaN)]);
        StringAssert.Contains(Fails("60,61,62,63 60,61,62,63,64"), "Step 1 (counted from 0) has 5 voices");
        Assert.Throws<ArgumentOutOfRangeException>(() => model.Temperature = 0);
        Assert.Throws<ArgumentOutOfRangeException>(() => model.Generate(-1));
        IDataView made = model.Generate(2, seed: 1);
        string[] before = [.. made.GetColumn<string>("Music")];
        model.Temperature = 9;
        Assert.AreSequenceEqual(before, [.. made.GetColumn<string>("Music")]); // what a view gives does not change
        var tooLong = new VoiceGrid(Enumerable.Repeat(new[] { 60, VoiceGrid.Unknown }, 100_001));
        StringAssert.Contains(Assert.Throws<InvalidOperationException>(() => model.Infill(tooLong)).Message, "100001 steps");
        Exception bad = Assert.Throws<InvalidOperationException>(() => model.Transform(Rows([Piece(1), "30,?"])).GetColumn<string>("Infilled").ToArray());
        StringAssert.Contains(bad.Message, "Row 1");
    }

    private static byte[] Saved(CoconetTransformer model)
    {
        using var file = new MemoryStream();
        s_ml.Model.Save(model, null, file);
        return file.ToArray();
    }

    private static CoconetTransformer Loaded(byte[] file)
    {
        using var stream = new MemoryStream(file);
        return (CoconetTransformer)s_ml.Model.Load(stream, out _);
    }

    private static IDataView Rows(IEnumerable<string> pieces) => s_ml.Data.LoadFromEnumerable(pieces.Select(piece => new Row { Music = piece }));

    private static string Piece(int number) => string.Join(' ', Enumerable.Range(0, 8).Select(step =>
    {
        int place = (step + number) % 6, pitch = 60 + 2 * (place < 4 ? place : 6 - place);
        return $"{pitch},{pitch - 7}";
    }));

    private sealed class Row
    {
        public string Music { get; set; } = "";
    }
}
