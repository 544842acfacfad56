using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Images;

/// <summary>Distances against hand values and closed forms, and what a report says of images that are known.</summary>
[TestClass]
public sealed class ImageQualityTests
{
    [TestMethod]
    public void The_Frechet_distance_of_two_normals_is_its_closed_form()
    {
        Assert.AreEqual(9 + 2 + 8 - 2 * Math.Sqrt(16), ImageMetrics.Frechet([-1, 1], [1, 5], 1), 1e-9);

        // Two features: the trace of a root follows from trace and determinant.
        float[] first = Normals(1, 400), second = [.. Normals(2, 500).Chunk(2).SelectMany(
            row => new[] { row[0] + 2 * row[1] + 1, row[1] - 0.5f * row[0] })];
        (double[] m1, double[] c1) = Moments(first);
        (double[] m2, double[] c2) = Moments(second);
        double trace = c1[0] * c2[0] + 2 * c1[1] * c2[1] + c1[2] * c2[2];
        double determinant = (c1[0] * c1[2] - c1[1] * c1[1]) * (c2[0] * c2[2] - c2[1] * c2[1]);
        double expected = Math.Pow(m1[0] - m2[0], 2) + Math.Pow(m1[1] - m2[1], 2) + c1[0] + c1[2] + c2[0] + c2[2]
            - 2 * Math.Sqrt(trace + 2 * Math.Sqrt(determinant));
        Assert.AreEqual(expected, ImageMetrics.Frechet(first, second, 2), 1e-6);
        Assert.AreEqual(0, ImageMetrics.Frechet(first, first, 2), 1e-6);
    }

    [TestMethod]
    public void The_kernel_distance_is_as_worked_out_by_hand() =>
        // (0·1 + 1)³, (2·3 + 1)³, and across 1, 1, 27 and 64.
        Assert.AreEqual(1 + 343 - 2 * 93 / 4.0, ImageMetrics.Kernel([0, 1], [2, 3], 1), 1e-9);

    [TestMethod]
    public void Precision_recall_density_and_coverage_are_as_counted_by_hand()
    {
        float[] line = [.. Enumerable.Range(0, 10).Select(i => (float)i)];
        // Reaches 5 4 3 3 3 3 3 3 4 5: ten balls hold 6 6 6 7 7 7 7 6 6 6 of the points.
        Assert.AreEqual((1, 1, 64 / 50.0, 1), ImageMetrics.Manifolds(line, line, 1));
        float[] far = [.. line.Select(x => x + 100)];
        Assert.AreEqual((0, 0, 0, 0), ImageMetrics.Manifolds(line, far, 1));
        // All at one place, in the balls of 0 to 4 and 8 to 9's: 0, 1, 2, 3, 4, 5 reach 3; so does 6, whose ball begins there.
        float[] one = [.. Enumerable.Repeat(3f, 10)];
        Assert.AreEqual((1, 0.1, 70 / 50.0, 0.7), ImageMetrics.Manifolds(line, one, 1));
        Assert.AreEqual(97, ImageMetrics.MedianNearest([100], [.. line.Where(x => x < 4)], 1), 1e-6);
    }

    [TestMethod]
    public void Sets_of_one_law_have_the_figures_that_chance_gives()
    {
        // Of two sets of one law precision and recall are alike, and in the mean the balls hold as many as they should.
        float[] real = Normals(3, 800, 8), made = Normals(4, 800, 8);
        (double precision, double recall, double density, double coverage) = ImageMetrics.Manifolds(real, made, 8);
        Assert.AreEqual(precision, recall, 0.03);
        Assert.AreEqual(1, density, 0.1);
        Assert.AreEqual(1 - Math.Pow(0.5, 5), coverage, 0.03); // of five neighbours each is as likely real as made
    }

    [TestMethod]
    public void A_report_knows_good_images_from_bad_ones_and_copies()
    {
        var ml = new MLContext(1);
        BarPicture[] bars = TestImages.Bars(200);
        BarPicture[] wrong = [.. TestImages.Bars(100).Select(b => new BarPicture { Image = b.Image, Stands = !b.Stands })];
        Random random = new(1);
        BarPicture[] noise = [.. Enumerable.Range(0, 100).Select(i => new BarPicture
        {
            Image = TestImages.Grey(8, [.. Enumerable.Range(0, 64).Select(_ => (byte)random.Next(256))]), Stands = i % 2 == 0,
        })];
        var options = new ImageQualityOptions
        {
            LabelColumnName = "Label", ImageShape = new(1, 8, 8), HoldOut = View([.. TestImages.Bars(155).Skip(55)]), TrainsOnGenerated = true,
        };
        IDataView real = View(bars[..100]);
        using ImageJudge judge = ImageJudge.Train(real, "Image", options);
        ImageQualityReport good = Report(View(bars[100..])), swapped = Report(View(wrong)), bad = Report(View(noise));
        Assert.AreEqual(1, good.GanTest);
        Assert.AreEqual(1, good.JudgeAccuracy);
        CollectionAssert.AreEqual(new object[] { 0.0, 1.0 }, good.Labels.ToArray());
        CollectionAssert.AreEqual(new[] { 1.0, 1.0 }, good.JudgeAccuracyByClass.ToArray());
        // Of twenty held-out ones that stand ten are said to lie, as twenty others do.
        BarPicture[] held = [.. bars[..40].OrderBy(bar => !bar.Stands).Select((bar, i) => new BarPicture { Image = bar.Image, Stands = i is >= 10 and < 20 })];
        ImageQualityReport half = ImageQualityReport.Compare(
            judge, real, real, "Image", new() { LabelColumnName = "Label", ImageShape = new(1, 8, 8), HoldOut = View(held) });
        CollectionAssert.AreEqual(new[] { 20 / 30.0, 1 }, half.JudgeAccuracyByClass.ToArray());
        CollectionAssert.AreEqual(new[] { 0.5, 0.5 }, good.ClassShares.ToArray());
        Assert.AreEqual(0, swapped.GanTest);
        // Who learns from swapped labels takes each for the other; who has seen one kind alone knows half of them.
        Assert.AreEqual(1, good.GanTrain);
        Assert.AreEqual(0, swapped.GanTrain);
        Assert.AreEqual(0.5, Report(View([.. bars[100..].Where(bar => bar.Stands)])).GanTrain);
        Assert.IsGreaterThan(10 * good.Frechet, bad.Frechet);
        Assert.IsGreaterThan(10 * Math.Abs(good.KernelDistance), bad.KernelDistance);
        Assert.AreEqual(0, bad.Precision);
        Assert.IsGreaterThan(0.8, good.Coverage);
        Assert.IsGreaterThan(2, bad.NearestRatio!.Value);
        Assert.AreEqual(16, good.JudgeFingerprint.Length);

        string page = Path.GetTempFileName();
        good.SaveHtml(page, "Bars & more");
        string html = File.ReadAllText(page);
        File.Delete(page);
        StringAssert.Contains(html, "Bars &amp; more");
        Assert.HasCount(3, html.Split("data:image/png;base64,"));
        Reports.OnePage.AssertWhole(html);

        ImageQualityReport Report(IDataView made) => ImageQualityReport.Compare(judge, real, made, "Image", options);

        IDataView View(BarPicture[] pictures) => ml.Data.LoadFromEnumerable(
            pictures.Select(p => new LabelledPicture { Image = p.Image, Label = p.Stands ? 1 : 0 }).ToArray());
    }

    [TestMethod]
    public void Keys_of_other_views_count_by_what_they_stand_for()
    {
        var ml = new MLContext(1);
        BarPicture[] bars = TestImages.Bars(120);
        IDataView real = Keyed(bars[..60]), other = Keyed([.. bars[60..].OrderBy(bar => !bar.Stands)]);
        Assert.AreNotEqual(Keys(real), Keys(other)); // the first row's value is the first key
        ImageQualityReport report = ImageQualityReport.Compare(
            real, other, "Image", new() { LabelColumnName = "Kind", ImageShape = new(1, 8, 8), HoldOut = other });
        Assert.AreEqual(Keys(real), string.Join(", ", report.Labels));
        string page = Path.GetTempFileName();
        report.SaveHtml(page);
        string html = File.ReadAllText(page);
        File.Delete(page);
        Reports.OnePage.AssertWhole(html);
        // Generated images are the held-out ones themselves: all like them, and training images are not.
        StringAssert.Contains(html, FormattableString.Invariant($"""<td>precision</td><td class="n">1.000</td><td class="n">{report.RealManifolds!.Value.Precision:F3}</td>"""));
        StringAssert.Contains(html, """<tr><td>&lt;lies&gt;</td><td class="n">50.0 %</td><td class="n">100.0 %</td><td class="n">100.0 %</td></tr>""");
        CollectionAssert.AreEqual(new[] { 1.0, 1.0 }, report.GanTestByClass.ToArray());
        CollectionAssert.AreEqual(new[] { 1.0, 1.0 }, report.JudgeAccuracyByClass.ToArray());

        IDataView strange = ml.Transforms.Conversion.MapValueToKey("Kind", "Kind").Fit(Named(bars[..60], "slants")).Transform(Named(bars[..60], "slants"));
        StringAssert.Contains(
            Assert.Throws<ArgumentException>(
                () => ImageQualityReport.Compare(real, strange, "Image", new() { LabelColumnName = "Kind", ImageShape = new(1, 8, 8) })).Message,
            "'slants'");

        string Keys(IDataView view)
        {
            VBuffer<ReadOnlyMemory<char>> names = default;
            view.Schema["Kind"].GetKeyValues(ref names);
            return string.Join(", ", names.DenseValues());
        }

        IDataView Keyed(BarPicture[] pictures) =>
            ml.Transforms.Conversion.MapValueToKey("Kind", "Kind").Fit(Named(pictures)).Transform(Named(pictures));

        IDataView Named(BarPicture[] pictures, string stands = "stands") => ml.Data.LoadFromEnumerable(
            pictures.Select(p => new NamedPicture { Image = p.Image, Kind = p.Stands ? stands : "<lies>" }).ToArray());
    }

    [TestMethod]
    public void Without_labels_it_compares_all_the_same_and_bad_input_is_named()
    {
        var ml = new MLContext(1);
        IDataView bars = ml.Data.LoadFromEnumerable(TestImages.Bars(60)), few = ml.Data.LoadFromEnumerable(TestImages.Bars(5));
        ImageQualityReport report = ImageQualityReport.Compare(bars, bars, "Image");
        Assert.AreEqual(0, report.Frechet, 1e-3);
        Assert.IsNull(report.GanTest);
        StringAssert.Contains(
            Assert.Throws<ArgumentException>(() => ImageQualityReport.Compare(bars, few, "Image")).Message, "5 images");
        StringAssert.Contains(
            Assert.Throws<ArgumentOutOfRangeException>(() => ImageQualityReport.Compare(bars, bars, "Picture")).Message,
            "'Picture'");
        StringAssert.Contains(
            Assert.Throws<ArgumentOutOfRangeException>(() => ImageQualityReport.Compare(
                bars, bars, "Image", new() { LabelColumnName = "Stands" })).Message, "'Stands'");
        StringAssert.Contains(
            Assert.Throws<ArgumentException>(() => ImageQualityReport.Compare(bars, bars, "Image", new() { TrainsOnGenerated = true })).Message,
            "nothing to judge");
    }

    private static float[] Normals(ulong seed, int rows, int width = 2)
    {
        float[] values = new float[rows * width];
        var random = new SplitMix64(seed);
        NormalNumbers.Fill(ref random, values);
        return values;
    }

    private static (double[] Mean, double[] Covariance) Moments(float[] rows)
    {
        float[] x = [.. rows.Where((_, i) => i % 2 == 0)], y = [.. rows.Where((_, i) => i % 2 == 1)];
        double mx = x.Average(v => (double)v), my = y.Average(v => (double)v);
        double Sum(Func<int, double> of) => Enumerable.Range(0, x.Length).Sum(of) / (x.Length - 1);
        return ([mx, my],
            [Sum(i => (x[i] - mx) * (x[i] - mx)), Sum(i => (x[i] - mx) * (y[i] - my)), Sum(i => (y[i] - my) * (y[i] - my))]);
    }

    private sealed class LabelledPicture
    {
        [Microsoft.ML.Transforms.Image.ImageType(8, 8)]
        public MLImage? Image { get; set; }

        public float Label { get; set; }
    }

    private sealed class NamedPicture
    {
        [Microsoft.ML.Transforms.Image.ImageType(8, 8)]
        public MLImage? Image { get; set; }

        public string Kind { get; set; } = "";
    }
}
