using System.Globalization;

namespace GenerativeML.Tests.Strokes;

[TestClass]
public sealed class StrokePaintingTests
{
    [TestMethod]
    public void A_straight_stroke_covers_what_it_covers_by_hand()
    {
        // From the middle of the second pixel of the third row to that of the fifth: of width one it covers these four.
        float[] thin = Painted(5, 6, new BrushStroke(1.5f, 2.5f, 3, 2.5f, 4.5f, 2.5f, 1, 1));
        for (int i = 0; i < thin.Length; i++)
            Assert.AreEqual(i / 6 == 2 && i % 6 is >= 1 and <= 4 ? 1 : 0, thin[i], 1e-6, $"pixel {i}");

        // Of width two its edge is a pixel from the line: there half is covered, and at the corner 1.5 − √2.
        float[] wide = Painted(5, 6, new BrushStroke(1.5f, 2.5f, 3, 2.5f, 4.5f, 2.5f, 1, 2));
        Assert.AreEqual(1, wide[2 * 6 + 3], 1e-6);
        Assert.AreEqual(0.5, wide[1 * 6 + 3], 1e-6);
        Assert.AreEqual(0.5, wide[3 * 6 + 1], 1e-6);
        Assert.AreEqual(0.5, wide[2 * 6], 1e-6);
        Assert.AreEqual(1.5 - Math.Sqrt(2), wide[1 * 6], 1e-6);
        Assert.AreEqual(0, wide[4 * 6 + 3], 1e-6);

        // A dot is round.
        float[] dot = Painted(5, 5, new BrushStroke(2.5f, 2.5f, 2.5f, 2.5f, 2.5f, 2.5f, 1, 3));
        Assert.AreEqual(1, dot[2 * 5 + 1], 1e-6);
        Assert.AreEqual(2 - Math.Sqrt(2), dot[1 * 5 + 1], 1e-6);
        Assert.AreEqual(0, dot[0 * 5 + 2], 1e-6);
    }

    [TestMethod]
    public void Pressure_covers_a_share_of_what_is_bare_and_none_covers_nothing()
    {
        var half = new BrushStroke(0.5f, 0.5f, 1.5f, 0.5f, 2.5f, 0.5f, 0.5f, 1);
        CollectionAssert.AreEqual((float[])[0.5f, 0.5f, 0.5f], Painted(1, 3, half));
        CollectionAssert.AreEqual((float[])[0.75f, 0.75f, 0.75f], Painted(1, 3, half, half));
        CollectionAssert.AreEqual(new float[3], Painted(1, 3, half with { Pressure = 0 }));
        CollectionAssert.AreEqual((float[])[1, 1, 1], new StrokePainting(1, 3, [], darkInk: true).ToPixels());
        CollectionAssert.AreEqual((float[])[0.5f, 0.5f, 0.5f], new StrokePainting(1, 3, [half], darkInk: true).ToPixels());
    }

    [TestMethod]
    public void A_curve_covers_pixels_by_their_distance_from_it()
    {
        // Halfway a quadratic curve is at a quarter of start, twice the control point, and end: here (2.5, 2.5).
        float[] bow = Painted(5, 5, new BrushStroke(0.5f, 0.5f, 4.5f, 2.5f, 0.5f, 4.5f, 1, 1));
        Assert.AreEqual(1, bow[2 * 5 + 2], 0.05);
        Assert.AreEqual(0, bow[2 * 5 + 4], 1e-5);

        // Against distances from ten thousand points of the curve, whose chords here are a pixel long at most.
        var random = new Random(1);
        for (int n = 0; n < 40; n++)
        {
            float Place() => 12 * random.NextSingle();
            var stroke = new BrushStroke(Place(), Place(), Place(), Place(), Place(), Place(), 1, 1 + 2 * random.NextSingle());
            float[] painted = Painted(12, 12, stroke);
            double sum = 0;
            for (int i = 0; i < painted.Length; i++)
            {
                double nearest = double.PositiveInfinity;
                for (int k = 0; k <= 2000; k++)
                {
                    double t = k / 2000.0, s = 1 - t;
                    double x = s * s * stroke.StartX + 2 * s * t * stroke.ControlX + t * t * stroke.EndX;
                    double y = s * s * stroke.StartY + 2 * s * t * stroke.ControlY + t * t * stroke.EndY;
                    nearest = Math.Min(nearest, Math.Pow(i % 12 + 0.5 - x, 2) + Math.Pow(i / 12 + 0.5 - y, 2));
                }
                double expected = Math.Clamp(stroke.Width / 2 + 0.5 - Math.Sqrt(nearest), 0, 1);
                Assert.AreEqual(expected, painted[i], 0.15, $"{stroke}, pixel {i}");
                sum += Math.Abs(expected - painted[i]);
            }
            Assert.IsLessThan(0.005, sum / painted.Length);
        }
    }

    [TestMethod]
    public void Texts_and_SVG_are_read_as_they_were_written_in_any_culture()
    {
        var painting = new StrokePainting(
            16, 12, [new(8.5f, 8.5f, 3.25f, 2.5f, 4.5f, 12.5f, 0.5f, 1.75f), new(4.5f, 12.5f, 1, -1, 0.1f, 1 / 3f, 0, 1)], darkInk: true);
        CultureInfo before = CultureInfo.CurrentCulture;
        try
        {
            CultureInfo.CurrentCulture = new CultureInfo("") { NumberFormat = { NumberDecimalSeparator = ",", NegativeSign = "−" } };
            Assert.AreEqual("16 12 dark; 8.5 8.5 3.25 2.5 4.5 12.5 0.5 1.75; 4.5 12.5 1 -1 0.1 0.33333334 0 1", painting.ToString());
            StrokePainting again = StrokePainting.Parse(painting.ToString());
            CollectionAssert.AreEqual(painting.Strokes.ToArray(), again.Strokes.ToArray());
            Assert.AreEqual((16, 12, true), (again.Height, again.Width, again.DarkInk));
            // What only moves the brush is not in a picture.
            StrokePainting seen = StrokePainting.ParseSvg(painting.ToSvg(3.5));
            CollectionAssert.AreEqual(painting.Strokes.Take(1).ToArray(), seen.Strokes.ToArray());
            Assert.AreEqual((16, 12, true), (seen.Height, seen.Width, seen.DarkInk));
            CollectionAssert.AreEqual(painting.ToPixels(), seen.ToPixels());
            StringAssert.Contains(painting.ToSvg(), "M 8.5 8.5 Q 3.25 2.5 4.5 12.5");
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }
        Assert.IsEmpty(StrokePainting.Parse("4 4 light").Strokes);
    }

    [TestMethod]
    [DataRow("", "height, width")]
    [DataRow("16 16", "height, width")]
    [DataRow("0 16 light", "height, width")]
    [DataRow("16 16 light; 1 2 3", "Stroke 0 (counted from 0) has 3 numbers")]
    [DataRow("16 16 light; 1 2 3 4 5 6 0.5 1; 1 2 3 4 x 6 1 1", "Stroke 1 (counted from 0) has 'x'")]
    [DataRow("16 16 light; 1 2 3 4 5 6 2 1", "pressure is 2")]
    [DataRow("16 16 light; 1 2 3 4 5 6 1 0", "width is 0")]
    [DataRow("16 16 light; 1 2 NaN 4 5 6 1 1", "coordinate is NaN")]
    public void What_is_no_painting_is_refused_by_what_is_wrong(string text, string said) =>
        StringAssert.Contains(Assert.Throws<FormatException>(() => StrokePainting.Parse(text)).Message, said);

    [TestMethod]
    public void An_SVG_of_another_form_is_refused()
    {
        Assert.Throws<FormatException>(() => StrokePainting.ParseSvg("16 16 light"));
        Assert.Throws<FormatException>(() => StrokePainting.ParseSvg("<html/>"));
        var error = Assert.Throws<FormatException>(() => StrokePainting.ParseSvg("<svg viewBox=\"0 0 4 4\"><path d=\"M 1 1 L 2 2\"/></svg>"));
        StringAssert.Contains(error.Message, "M 1 1 L 2 2");
        Assert.Throws<ArgumentOutOfRangeException>(() => new StrokePainting(0, 4, []));
        Assert.Throws<ArgumentOutOfRangeException>(() => new StrokePainting(4, 4, [new(0, 0, 0, 0, 0, 0, 1, float.NaN)]));
    }

    private static float[] Painted(int height, int width, params BrushStroke[] strokes) => new StrokePainting(height, width, strokes).ToPixels();
}
