using System.Text;
using GenerativeML.Tests.Hostile;

namespace GenerativeML.Tests.Persistence;

/// <summary>Damaged sounds, music, drawings and paintings: each is read, or refused with the one exception.</summary>
[TestClass]
public sealed class HostileMediaTests
{
    private const int Files = 1500;

    // Numbers of formats stand in the first bytes: lengths, rates, widths, counts.
    private static readonly Mutation[] s_numbers =
    [
        (file, random) =>
        {
            byte[] damaged = [.. file];
            if (damaged.Length < sizeof(int))
                return damaged;
            Span<byte> place = damaged.AsSpan(random.Next(Math.Min(damaged.Length - sizeof(int), 64) + 1));
            int[] extremes = [0, 1, -1, short.MaxValue, 1 << 16, int.MaxValue, int.MinValue, random.Next(256), random.Next()];
            int value = extremes[random.Next(extremes.Length)];
            _ = random.Next(3) switch
            {
                0 => BitConverter.TryWriteBytes(place, value),
                1 => BitConverter.TryWriteBytes(place, (short)value),
                _ => (place[0] = (byte)value) >= 0,
            };
            return damaged;
        },
    ];

    [TestMethod]
    public void Sounds() => Hold(
        "sounds", file => SoundClip.ReadWav(new MemoryStream(file)), 16,
        Wav(1, 16, 1, 200), Wav(1, 8, 2, 100), Wav(1, 24, 1, 99), Wav(3, 32, 1, 80), Wav(3, 64, 1, 80));

    // NAudio.Midi takes an event's word for its length, up to 256 MB, for a moment.
    [TestMethod]
    public void Music_of_MIDI_files() => Hold("MIDI", file => _ = NoteSequence.ReadMidi(new MemoryStream(file)).ToText(1), 300, Midi());

    [TestMethod]
    public void Drawings_of_SVG() => Hold("SVG", file => Use(StrokeDrawing.ParseSvg(Encoding.UTF8.GetString(file))), 16, """
        <svg xmlns="http://www.w3.org/2000/svg"><g transform="scale(2)"><path d="m1,1 2 0v3h-2z M10-5.5L.5.5"/>
        <polyline points="0,0 1,1 2,0"/><polygon points="0 0 1 0 1 1"/><line x1="1" y1="2" x2="3e1" y2="4"/></g></svg>
        """u8.ToArray());

    [TestMethod]
    public void Drawings_of_text() => Hold(
        "drawings", file => Use(StrokeDrawing.Parse(Encoding.UTF8.GetString(file))), 16, "1,2,0 10,0,0 0,5,1 -3,-2,1 1e5,2.5,1"u8.ToArray());

    [TestMethod]
    public void Voices() => Hold(
        "voices", file =>
        {
            VoiceGrid grid = VoiceGrid.Parse(Encoding.UTF8.GetString(file));
            Assert.AreEqual(grid.ToString(), VoiceGrid.Parse(grid.ToString()).ToString());
            _ = grid.ToNotes().ToText();
        },
        16, "72,60 72,60 74,- ?,60"u8.ToArray());

    [TestMethod]
    public void Paintings()
    {
        var painting = new StrokePainting(16, 12, [new(8.5f, 8.5f, 3.25f, 2.5f, 4.5f, 12.5f, 0.5f, 1.75f), new(4.5f, 12.5f, 1, -1, 0.1f, 1 / 3f, 0, 1)]);
        Hold("paintings", file => Paint(StrokePainting.Parse(Encoding.UTF8.GetString(file))), 64, Encoding.UTF8.GetBytes(painting.ToString()));
        Hold("paintings of SVG", file => Paint(StrokePainting.ParseSvg(Encoding.UTF8.GetString(file))), 64, Encoding.UTF8.GetBytes(painting.ToSvg()));

        static void Paint(StrokePainting read) => _ = read.Height * read.Width < 1 << 16 ? read.ToPixels() : [];
    }

    [TestMethod]
    public void Elements_that_lie_deep_in_each_other_take_no_longer_than_others()
    {
        // A tree of so many would take minutes to build.
        const int deep = 200_000;
        string inside = string.Concat(Enumerable.Repeat("<g>", deep)), outside = string.Concat(Enumerable.Repeat("</g>", deep));
        Assert.AreEqual("0,0,0 1,0,1", StrokeDrawing.ParseSvg($"<svg>{inside}<line x2='1'/>{outside}</svg>").ToString());
        Assert.HasCount(1, StrokePainting.ParseSvg($"<svg viewBox='0 0 4 4'>{inside}<path d='M 1 1 Q 2 2 3 3'/>{outside}</svg>").Strokes);
    }

    private static void Use(StrokeDrawing drawing)
    {
        Assert.AreEqual(drawing.ToString(), StrokeDrawing.Parse(drawing.ToString()).ToString());
        Assert.AreEqual(drawing.ToString(), StrokeDrawing.FromStroke5(drawing.ToStroke5()).ToString());
        _ = (drawing.ToSvg(), drawing.Simplify(1));
    }

    private static void Hold(string subject, Action<byte[]> read, int megabytes, params byte[][] originals)
    {
        HostileReport report = new HostileRun(subject, new FileMutator(originals, s_numbers).Damage, read)
        {
            AllocationPerByte = 400, FixedAllocation = (long)megabytes << 20,
        }.Run(Files);
        Assert.HasCount(0, report.Failures, report.ToString());
        Assert.IsGreaterThan(0, report.Loaded, "no damage was harmless: is the test reading what it should?");
        Assert.IsGreaterThan(Files / 4, report.Refused, report.ToString());
    }

    private static byte[] Wav(short format, int bits, short channels, int length)
    {
        byte[] file = [.. "RIFF"u8, 0, 0, 0, 0, .. "WAVEfmt "u8, 16, 0, 0, 0, .. new byte[16], .. "data"u8, 0, 0, 0, 0, .. new byte[length]];
        int frame = channels * bits / 8;
        foreach ((int at, int value) in (ReadOnlySpan<(int, int)>)[(4, 36 + length), (24, 8000), (28, 8000 * frame), (40, length)])
            BitConverter.TryWriteBytes(file.AsSpan(at), value);
        foreach ((int at, int value) in (ReadOnlySpan<(int, int)>)[(20, format), (22, channels), (32, frame), (34, bits)])
            BitConverter.TryWriteBytes(file.AsSpan(at), (short)value);
        return file;
    }

    // Two tracks: a name, a tempo, a metre, a key, an instrument, a bend and a system's own event; notes, and a running status.
    private static byte[] Midi()
    {
        byte[] first =
        [
            0, 0xFF, 0x51, 3, 0x07, 0xA1, 0x20, 0, 0x90, 60, 100, 96, 60, 0, 0, 0x99, 35, 90, 0, 0x91, 72, 30, 96, 0xFF, 0x2F, 0,
        ];
        byte[] second =
        [
            0, 0xFF, 0x03, 2, 65, 66, 0, 0xF0, 3, 1, 2, 0xF7, 0, 0xC0, 5, 0, 0xE0, 1, 2, 0, 0xB0, 7, 100, 0, 0xFF, 0x58, 4, 4, 2, 24, 8,
            0, 0xFF, 0x59, 2, 0, 0, 0, 0x90, 60, 100, 96, 0x80, 60, 0, 0, 0xFF, 0x2F, 0,
        ];
        return
        [
            .. "MThd"u8, 0, 0, 0, 6, 0, 1, 0, 2, 0, 96, .. "MTrk"u8, 0, 0, 0, (byte)first.Length, .. first,
            .. "MTrk"u8, 0, 0, 0, (byte)second.Length, .. second,
        ];
    }
}
