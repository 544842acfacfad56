namespace GenerativeML.Tests.Music;

[TestClass]
public sealed class MusicFilesTests
{
    private static readonly Note[] s_notes = [new(60, 80, 0, 1), new(64, 80, 0.5, 0.5), new(48, 40, 0, 2, 1), new(67, 127, 10, 0.25)];

    [TestMethod]
    public void Notes_come_back_from_a_MIDI_file()
    {
        string path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        try
        {
            var music = new NoteSequence(s_notes, 96);
            music.SaveMidi(path);
            NoteSequence back = NoteSequence.ReadMidi(path);
            Assert.AreSequenceEqual(music.Notes, back.Notes);
            Assert.AreEqual(96, back.QuartersPerMinute, 0.01);
            Assert.AreEqual(10.25, back.Length);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [TestMethod]
    public void A_file_by_hand_is_read_as_the_standard_says()
    {
        // Format 0, 96 ticks: tempo 500,000 µs; note 60 for 96 ticks with a running status, ended by velocity zero; a drum;
        // a note that nobody ends, and the end at 192 ticks.
        byte[] track =
        [
            0, 0xFF, 0x51, 3, 0x07, 0xA1, 0x20, 0, 0x90, 60, 100, 96, 60, 0, 0, 0x99, 35, 90, 0, 0x91, 72, 30, 96, 0xFF, 0x2F, 0,
        ];
        byte[] file = [.. "MThd"u8, 0, 0, 0, 6, 0, 0, 0, 1, 0, 96, .. "MTrk"u8, 0, 0, 0, (byte)track.Length, .. track];
        NoteSequence music = NoteSequence.ReadMidi(new MemoryStream(file));
        Assert.AreSequenceEqual(new Note[] { new(60, 100, 0, 1), new(72, 30, 1, 1, 1) }, music.Notes);
        Assert.AreEqual(120, music.QuartersPerMinute, 1e-9);
        for (int length = 0; length < file.Length - 4; length++)
        {
            // Cut short: an error, or the notes up to there.
            try
            {
                _ = NoteSequence.ReadMidi(new MemoryStream(file[..length]));
            }
            catch (FormatException)
            {
            }
        }
        Assert.Throws<FormatException>(() => NoteSequence.ReadMidi(new MemoryStream("no music"u8.ToArray())));
        file[13] = 0;
        StringAssert.Contains(Assert.Throws<FormatException>(() => NoteSequence.ReadMidi(new MemoryStream(file))).Message, "no ticks");
        file[12] = 0xE7; // frames of a film
        StringAssert.Contains(Assert.Throws<FormatException>(() => NoteSequence.ReadMidi(new MemoryStream(file))).Message, "frames");
    }

    [TestMethod]
    [DataRow(new byte[] { 0, 0x80, 60, 9, 96, 0xFF, 0x2F, 0 }, "", DisplayName = "an end without a beginning")]
    [DataRow(new byte[] { 0, 0x90, 60, 9, 0, 0x80, 60, 0, 96, 0xFF, 0x2F, 0 }, "", DisplayName = "a note that lasts for no time")]
    [DataRow(new byte[] { 0, 0x90, 60, 9, 48, 0x90, 60, 8, 48, 0x80, 60, 0, 96, 0xFF, 0x2F, 0 }, "60: 0 to 1, 60: 0.5 to 2",
        DisplayName = "begun twice, ended once: the second sounds to the end")]
    [DataRow(new byte[] { 0, 0x90, 60, 9, 96, 0xFF, 0x51, 3, 0x07, 0xA1, 0x20, 0, 60, 0, 0, 0xFF, 0x2F, 0 }, "60: 0 to 1",
        DisplayName = "a running status goes on behind a tempo")]
    [DataRow(new byte[] { 0, 60, 9, 96, 0xFF, 0x2F, 0 }, "", DisplayName = "a running status of nothing is passed over")]
    [DataRow(new byte[] { 0, 0x90, 60, 9, 96, 0x80, 60, 0 }, "60: 0 to 1", DisplayName = "a track without an end")]
    public void Notes_that_are_not_begun_or_ended_follow_a_rule(byte[] track, string expected)
    {
        byte[] file = [.. "MThd"u8, 0, 0, 0, 6, 0, 0, 0, 1, 0, 96, .. "MTrk"u8, 0, 0, 0, (byte)track.Length, .. track];
        Assert.AreEqual(expected, string.Join(", ", NoteSequence.ReadMidi(new MemoryStream(file)).Notes.Select(
            n => FormattableString.Invariant($"{n.Pitch}: {n.Start} to {n.Start + n.Duration}"))));
    }

    [TestMethod]
    public void The_first_tempo_is_that_of_all()
    {
        byte[] track = [0, 0xFF, 0x51, 3, 0x0F, 0x42, 0x40, 0, 0x90, 60, 9, 96, 0xFF, 0x51, 3, 0x07, 0xA1, 0x20, 96, 0x80, 60, 0, 0, 0xFF, 0x2F, 0];
        NoteSequence music = NoteSequence.ReadMidi(new MemoryStream(
            [.. "MThd"u8, 0, 0, 0, 6, 0, 0, 0, 1, 0, 96, .. "MTrk"u8, 0, 0, 0, (byte)track.Length, .. track]));
        Assert.AreEqual(60, music.QuartersPerMinute);
        Assert.AreEqual(2, music.Length);
    }

    [TestMethod]
    public void Text_has_one_character_an_event_and_gives_the_notes_back()
    {
        var music = new NoteSequence(s_notes);
        string text = music.ToText(4);
        // 48 with a velocity, 60 with another; two steps of time; 64; 38 steps; a velocity and 67.
        Assert.AreEqual(3 + 3 + 1 + 2 + 1 + 3, text.Length);
        NoteSequence back = NoteSequence.FromText(text, 4);
        Assert.AreSequenceEqual(music.Notes.Select(n => (n.Pitch, n.Start, n.Duration)).OrderBy(n => n), back.Notes.Select(n => (n.Pitch, n.Start, n.Duration)).OrderBy(n => n));
        Assert.IsTrue(back.Notes.All(n => Math.Abs(n.Velocity - s_notes.First(o => o.Pitch == n.Pitch).Velocity) <= 2));
        Assert.AreEqual(text, back.ToText(4));
        // A text that ends within a note, and characters that are none of music.
        Assert.HasCount(1, NoteSequence.FromText("x" + text[..4] + "?", 4).Notes);
        Assert.HasCount(0, NoteSequence.FromText("").Notes);
        // More time than a character has.
        var late = new NoteSequence([new(60, 64, 100, 30)]);
        Assert.AreEqual(new Note(60, 66, 100, 8), NoteSequence.FromText(late.ToText(12), 12).Notes[0]); // 96 steps, 8 quarters
        Assert.Throws<InvalidOperationException>(() => new NoteSequence([new(60, 64, 400_000, 1)]).ToText(96));
        Assert.Throws<FormatException>(() => VoiceGrid.FromNotes(new([new(60, 1, 0, 1, 2000)]), 4));
        Assert.Throws<FormatException>(() => VoiceGrid.FromNotes(new([new(60, 1, 400_000, 1, 100)]), 4));
    }

    [TestMethod]
    public void Notes_out_of_range_are_refused()
    {
        foreach (Note wrong in new Note[] { new(128, 1, 0, 1), new(60, 0, 0, 1), new(60, 1, -1, 1), new(60, 1, 0, 0), new(60, 1, double.NaN, 1), new(60, 1, 0, 1, -1), new(60, 1, 0, 1, 1 << 15), new(60, 1, 600_000, 1) })
            Assert.Throws<ArgumentException>(() => new NoteSequence([wrong]));
        Assert.Throws<ArgumentOutOfRangeException>(() => new NoteSequence([], 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => new NoteSequence([]).ToText(0));
    }

    [TestMethod]
    public void Voices_are_notes_that_are_held_while_their_pitch_stays()
    {
        VoiceGrid grid = VoiceGrid.Parse("72,60 72,60 74,- ?,60");
        Assert.AreEqual((2, 4), (grid.Voices, grid.Steps));
        Assert.AreEqual(VoiceGrid.Rest, grid[2, 1]);
        Assert.AreEqual(VoiceGrid.Unknown, grid[3, 0]);
        Assert.IsFalse(grid.IsComplete);
        Assert.AreEqual("72,60 72,60 74,- ?,60", grid.ToString());
        Assert.AreEqual("?,60 ?,60 ?,- ?,60", grid.Only(1).ToString());
        NoteSequence notes = grid.ToNotes(stepsPerQuarter: 2);
        Assert.AreSequenceEqual(
            new Note[] { new(72, 80, 0, 1), new(60, 80, 0, 1, 1), new(74, 80, 1, 0.5), new(60, 80, 1.5, 0.5, 1) }, notes.Notes);
        Assert.AreEqual("72,60 72,60 74,- -,60", VoiceGrid.FromNotes(notes, 2).ToString());
        Assert.AreEqual(0, VoiceGrid.Parse("").Steps);
        Assert.AreEqual("", VoiceGrid.FromNotes(new([]), 4).ToString());
        Assert.Throws<ArgumentOutOfRangeException>(() => grid.Only(2));
    }

    [TestMethod]
    [DataRow("60,61 62", "Step 1")]
    [DataRow("60,x", "Step 0")]
    [DataRow("60, 61", "Step 0")]
    [DataRow("60 128", "128")]
    [DataRow("60 -5", "'-5'")]
    public void What_are_no_voices_is_refused_with_its_place(string text, string expected) =>
        StringAssert.Contains(Assert.Throws<FormatException>(() => VoiceGrid.Parse(text)).Message, expected);
}
