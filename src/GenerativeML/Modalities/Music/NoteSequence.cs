using System.Text;
using NAudio.Midi;

namespace GenerativeML;

/// <summary>A note.</summary>
/// <param name="Pitch">The key of a MIDI keyboard, from 0 to 127; 60 is the middle C.</param>
/// <param name="Velocity">How hard it is struck, from 1 to 127.</param>
/// <param name="Start">When it begins, in quarter notes from the beginning.</param>
/// <param name="Duration">How long it sounds, in quarter notes; above zero.</param>
/// <param name="Part">Who plays it, from 0 to 32,767: a voice or an instrument.</param>
public readonly record struct Note(int Pitch, int Velocity, double Start, double Duration, int Part = 0);

/// <summary>
/// Music as notes in time: read from and written to MIDI files, and written as text that a model of texts learns from, such
/// as <see cref="GptTrainer"/>. Immutable.
/// </summary>
public sealed class NoteSequence
{
    private const int Keys = 128, Velocities = 32, Steps = 96; // steps: the longest time of one character
    private const int TicksPerQuarter = 480, PercussionChannel = 10, Channels = 16;

    // What MIDI can express of tempo, parts and time; and what is no music of anybody.
    private const double MinTempo = 4, MaxTempo = 1000, MaxQuarters = 500_000;
    private const int MaxParts = 1 << 15, MaxFileBytes = 16 << 20, MaxTextSteps = 10_000_000;

    // Characters of a private area of Unicode, so that each event is one character: pitches, velocities, times, durations.
    private const char FirstPitch = '\uE000', FirstVelocity = (char)(FirstPitch + Keys);
    private const char FirstTime = (char)(FirstVelocity + Velocities), FirstDuration = (char)(FirstTime + Steps);

    /// <summary>Music of notes.</summary>
    /// <param name="notes">The notes, in any order.</param>
    /// <param name="quartersPerMinute">The tempo. From 4 to 1000.</param>
    /// <exception cref="ArgumentException">A note or the tempo is out of its range.</exception>
    public NoteSequence(IEnumerable<Note> notes, double quartersPerMinute = 120)
    {
        ArgumentNullException.ThrowIfNull(notes);
        OptionChecks.Within(quartersPerMinute, MinTempo, MaxTempo);
        Notes = [.. notes.OrderBy(n => n.Start).ThenBy(n => n.Part).ThenBy(n => n.Pitch)];
        foreach (Note note in Notes)
        {
            if (note is not { Pitch: >= 0 and < Keys, Velocity: > 0 and <= 127, Part: >= 0 and < MaxParts } || !(note.Start >= 0)
                || !(note.Duration > 0) || !(note.Start + note.Duration <= MaxQuarters))
                throw new ArgumentException(FormattableString.Invariant($"{note} is out of range: the pitch has to be from 0 to 127, the velocity from 1 to 127, the part from 0 to {MaxParts - 1}, the start at least 0, the duration above 0, and the end at most {MaxQuarters}."), nameof(notes));
        }
        QuartersPerMinute = quartersPerMinute;
    }

    /// <summary>The notes, by their starts, parts and pitches.</summary>
    public IReadOnlyList<Note> Notes { get; }

    /// <summary>The tempo.</summary>
    public double QuartersPerMinute { get; }

    /// <summary>When the last note has ended, in quarter notes.</summary>
    public double Length => Notes.Count == 0 ? 0 : Notes.Max(n => n.Start + n.Duration);

    /// <summary>Reads a MIDI file.</summary>
    /// <param name="path">The file.</param>
    /// <inheritdoc cref="ReadMidi(Stream)" path="/remarks|/exception"/>
    public static NoteSequence ReadMidi(string path)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        using FileStream file = File.OpenRead(path);
        return ReadMidi(file);
    }

    /// <summary>Reads MIDI.</summary>
    /// <param name="stream">The bytes of a file.</param>
    /// <remarks>
    /// Each channel of a track is a part. The first tempo is that of all; drums, pedals and all but notes are passed over. A
    /// note that is not ended sounds to the end of the music. Files of more than 16 MB are refused.
    /// </remarks>
    /// <exception cref="FormatException">It is no MIDI, it is cut short, or its time is not counted in quarter notes.</exception>
    public static NoteSequence ReadMidi(Stream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        MidiFile file;
        try
        {
            using var whole = new MemoryStream();
            byte[] buffer = new byte[1 << 16];
            for (int read; (read = stream.Read(buffer)) > 0;)
            {
                whole.Write(buffer, 0, read);
                if (whole.Length > MaxFileBytes)
                    throw new FormatException("it has more than 16 MB.");
            }
            whole.Position = 0;
            file = new(whole, strictChecking: false);
        }
        catch (Exception damaged) when (damaged is FormatException or IOException or ArgumentException or InvalidOperationException or OverflowException)
        {
            throw new FormatException($"This is no MIDI file, or it is cut short: {damaged.Message}", damaged);
        }
        double ticks = file.DeltaTicksPerQuarterNote;
        if (file.DeltaTicksPerQuarterNote is <= 0 or >= 1 << 15)
            throw new FormatException(ticks == 0 ? "The MIDI file has no ticks in a quarter note."
                : "The MIDI file counts its time in frames of a film, and quarter notes are expected.");
        List<Note> notes = [];
        Dictionary<(int Track, int Channel), int> parts = [];
        double tempo = 120;
        bool hasTempo = false;
        MidiEvent[][] tracks = [.. Enumerable.Range(0, file.Tracks).Select(track => file.Events[track].ToArray())];
        long end = tracks.SelectMany(track => track).Select(e => e.AbsoluteTime).DefaultIfEmpty().Max();
        for (int track = 0; track < tracks.Length; track++)
        {
            foreach (MidiEvent each in tracks[track])
            {
                if (each is TempoEvent { Tempo: >= MinTempo and <= MaxTempo } change && !hasTempo)
                    (tempo, hasTempo) = (change.Tempo, true);
                if (each is not NoteOnEvent { Velocity: > 0, Channel: not PercussionChannel } note)
                    continue;
                int part = parts.TryGetValue((track, note.Channel), out int known) ? known : parts[(track, note.Channel)] = parts.Count;
                long length = (note.OffEvent?.AbsoluteTime ?? end) - note.AbsoluteTime;
                if (length > 0)
                    notes.Add(new(note.NoteNumber, note.Velocity, note.AbsoluteTime / ticks, length / ticks, part));
            }
        }
        double lasts = notes.Count == 0 ? 0 : notes.Max(n => n.Start + n.Duration);
        return lasts <= MaxQuarters ? new(notes, tempo) : throw new FormatException(FormattableString.Invariant(
            $"The MIDI file lasts for {lasts:F0} quarter notes, and {MaxQuarters} are read."));
    }

    /// <summary>Writes a MIDI file, each part a track of its own.</summary>
    /// <param name="path">The file; it appears under this name when it is complete.</param>
    /// <remarks>Times are rounded to the 480th part of a quarter note.</remarks>
    public void SaveMidi(string path)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        var events = new MidiEventCollection(1, TicksPerQuarter);
        events.AddEvent(new TempoEvent((int)Math.Round(60e6 / QuartersPerMinute), 0), 0);
        foreach (Note note in Notes)
        {
            // Channels are numbered from one, and one is for drums.
            int channel = 1 + note.Part % (Channels - 1);
            channel += channel >= PercussionChannel ? 1 : 0;
            long start = (long)Math.Round(note.Start * TicksPerQuarter);
            int length = (int)Math.Max(1, Math.Round((note.Start + note.Duration) * TicksPerQuarter) - start);
            var on = new NoteOnEvent(start, channel, note.Pitch, note.Velocity, length);
            events.AddEvent(on, 1 + note.Part);
            events.AddEvent(on.OffEvent!, 1 + note.Part);
        }
        events.PrepareForExport();
        using var buffer = new MemoryStream();
        MidiFile.Export(buffer, events);
        byte[] bytes = buffer.ToArray();
        AtomicFile.Write(path, file => file.Write(bytes));
    }

    /// <summary>
    /// The music as text, one character an event (as in MuseNet, OpenAI 2019): the time that passes, a velocity where it
    /// changes, a pitch and its duration, of 96 steps at most. A model of characters that learns such texts writes music.
    /// Parts are not told apart.
    /// </summary>
    /// <param name="stepsPerQuarter">Steps of time in a quarter note, to which notes are moved. From 1 to 96.</param>
    /// <exception cref="InvalidOperationException">The music has more than ten million steps.</exception>
    public string ToText(int stepsPerQuarter = 12)
    {
        OptionChecks.Within(stepsPerQuarter, 1, Steps);
        if (Length * stepsPerQuarter > MaxTextSteps)
            throw new InvalidOperationException(FormattableString.Invariant(
                $"The music has {Length * stepsPerQuarter:F0} steps of time, and {MaxTextSteps} are the most of a text."));
        var text = new StringBuilder();
        long now = 0;
        int velocity = -1;
        foreach ((long start, long length, Note note) in Notes
            .Select(n => ((long)Math.Round(n.Start * stepsPerQuarter), Math.Max(1, (long)Math.Round(n.Duration * stepsPerQuarter)), n))
            .OrderBy(n => n.Item1).ThenBy(n => n.n.Pitch))
        {
            for (; now < start; now += Math.Min(Steps, start - now))
                text.Append((char)(FirstTime + Math.Min(Steps, start - now) - 1));
            if (note.Velocity * Velocities / Keys != velocity)
                text.Append((char)(FirstVelocity + (velocity = note.Velocity * Velocities / Keys)));
            text.Append((char)(FirstPitch + note.Pitch)).Append((char)(FirstDuration + Math.Min(Steps, length) - 1));
        }
        return text.ToString();
    }

    /// <summary>
    /// Reads what <see cref="ToText"/> writes. A text may end anywhere, and hold anything: other characters are passed over,
    /// and so is a pitch that no duration follows.
    /// </summary>
    /// <param name="text">The events.</param>
    /// <param name="stepsPerQuarter">Steps of time in a quarter note. From 1 to 96.</param>
    /// <param name="quartersPerMinute">The tempo.</param>
    public static NoteSequence FromText(string text, int stepsPerQuarter = 12, double quartersPerMinute = 120)
    {
        ArgumentNullException.ThrowIfNull(text);
        OptionChecks.Within(stepsPerQuarter, 1, Steps);
        List<Note> notes = [];
        long now = 0;
        int pitch = -1, velocity = 80;
        foreach (char each in text)
        {
            int code = each - FirstPitch;
            if (code is < 0 or >= Keys + Velocities + 2 * Steps)
                continue;
            if (each >= FirstDuration)
            {
                if (pitch >= 0)
                    notes.Add(new(pitch, velocity, now / (double)stepsPerQuarter, (each - FirstDuration + 1) / (double)stepsPerQuarter));
                pitch = -1;
            }
            else if (each >= FirstTime)
            {
                now += each - FirstTime + 1;
            }
            else if (each >= FirstVelocity)
            {
                velocity = Math.Max(1, (each - FirstVelocity) * Keys / Velocities + Keys / Velocities / 2);
            }
            else
            {
                pitch = code;
            }
        }
        return new(notes.Where(note => note.Start + note.Duration <= MaxQuarters), quartersPerMinute);
    }
}
