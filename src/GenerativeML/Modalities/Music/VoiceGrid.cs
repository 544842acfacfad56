using System.Globalization;
using System.Text;

namespace GenerativeML;

/// <summary>
/// Music of voices that each sound one pitch at a time, in steps of equal length, as chorales are: of each voice in each
/// step a pitch, a rest, or nothing that is known. Immutable.
/// </summary>
public sealed class VoiceGrid
{
    /// <summary>Stands for a pause.</summary>
    public const int Rest = -1;

    /// <summary>Stands for what is to be found.</summary>
    public const int Unknown = -2;

    private const int MaxVoices = 1024, MaxNotes = 10_000_000;

    private readonly int[] _pitches; // steps × voices

    /// <summary>Music of these voices.</summary>
    /// <param name="steps">
    /// For each step the voices' pitches, from 0 to 127, or <see cref="Rest"/> or <see cref="Unknown"/>.
    /// </param>
    /// <exception cref="FormatException">Steps have different numbers of voices, or none, or a pitch is out of range.</exception>
    public VoiceGrid(IEnumerable<IReadOnlyList<int>> steps)
    {
        ArgumentNullException.ThrowIfNull(steps);
        List<int> pitches = [];
        foreach (IReadOnlyList<int> step in steps)
        {
            if (Steps++ == 0)
                Voices = step.Count;
            if (Voices > MaxVoices)
                throw new FormatException($"There are {Voices} voices, and {MaxVoices} are the most.");
            if (step.Count != Voices || Voices == 0)
                throw new FormatException($"Step {Steps - 1} (counted from 0) has {step.Count} voices, and the first has {Voices}.");
            foreach (int pitch in step)
                pitches.Add(pitch is >= Unknown and <= 127 ? pitch : throw new FormatException(
                    $"Step {Steps - 1} (counted from 0) has the pitch {pitch}; from 0 to 127 is expected, a rest or an unknown."));
        }
        _pitches = [.. pitches];
    }

    /// <summary>The number of voices; zero where there is no step.</summary>
    public int Voices { get; }

    /// <summary>The number of steps.</summary>
    public int Steps { get; }

    /// <summary>Whether all is known.</summary>
    public bool IsComplete => !_pitches.Contains(Unknown);

    /// <summary>A pitch, <see cref="Rest"/> or <see cref="Unknown"/>.</summary>
    /// <param name="step">The step, counted from 0.</param>
    /// <param name="voice">The voice, counted from 0.</param>
    public int this[int step, int voice] => _pitches[step * Voices + voice];

    /// <summary>
    /// Reads voices as text: steps with space between, in each the voices with commas between: a pitch, <c>-</c> for a rest
    /// or <c>?</c> for what is unknown, such as <c>72,67,?,- 74,67,?,48</c>.
    /// </summary>
    /// <param name="text">The steps. An empty text is music without steps.</param>
    /// <exception cref="FormatException">It is no such text; the message names the step.</exception>
    public static VoiceGrid Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        List<int[]> steps = [];
        foreach (string step in text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries))
        {
            steps.Add(Array.ConvertAll(step.Split(','), pitch => pitch switch
            {
                "-" => Rest,
                "?" => Unknown,
                _ => int.TryParse(pitch, NumberStyles.None, CultureInfo.InvariantCulture, out int key) ? key : throw new FormatException(
                    $"Step {steps.Count} (counted from 0) is '{step[..Math.Min(step.Length, 40)]}', and pitches, - or ? with commas between are expected."),
            }));
        }
        return new(steps);
    }

    /// <summary>Reads notes, each part a voice: what sounds at the beginning of a step, of several notes the highest.</summary>
    /// <param name="notes">The notes.</param>
    /// <param name="stepsPerQuarter">Steps in a quarter note. Above zero.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no step in a quarter note.</exception>
    /// <exception cref="FormatException">There are more than 1024 parts, or ten million steps of all voices.</exception>
    public static VoiceGrid FromNotes(NoteSequence notes, int stepsPerQuarter = 4)
    {
        ArgumentNullException.ThrowIfNull(notes);
        ArgumentOutOfRangeException.ThrowIfLessThan(stepsPerQuarter, 1);
        double steps = Math.Ceiling(notes.Length * stepsPerQuarter - 1e-6);
        int voices = notes.Notes.Count == 0 ? 0 : notes.Notes.Max(n => n.Part) + 1;
        if (voices > MaxVoices || steps * voices > MaxNotes)
            throw new FormatException(FormattableString.Invariant(
                $"There would be {steps} steps of {voices} voices; up to {MaxVoices} voices and {MaxNotes} steps of all of them are expected."));
        int[][] grid = [.. Enumerable.Range(0, (int)steps).Select(_ => Enumerable.Repeat(Rest, voices).ToArray())];
        foreach (Note note in notes.Notes)
        {
            int first = (int)Math.Ceiling(note.Start * stepsPerQuarter - 1e-6);
            int end = (int)Math.Ceiling((note.Start + note.Duration) * stepsPerQuarter - 1e-6);
            for (int step = first; step < Math.Min(end, grid.Length); step++)
                grid[step][note.Part] = Math.Max(grid[step][note.Part], note.Pitch);
        }
        return new(grid);
    }

    /// <summary>The notes: a pitch that stays from step to step is one. What is unknown sounds as a rest.</summary>
    /// <param name="stepsPerQuarter">Steps in a quarter note. Above zero.</param>
    /// <param name="quartersPerMinute">The tempo.</param>
    public NoteSequence ToNotes(double stepsPerQuarter = 4, double quartersPerMinute = 80)
    {
        OptionChecks.PositiveFinite(stepsPerQuarter);
        List<Note> notes = [];
        for (int voice = 0; voice < Voices; voice++)
        {
            for (int step = 0, length; step < Steps; step += length)
            {
                length = 1;
                while (step + length < Steps && this[step + length, voice] == this[step, voice])
                    length++;
                if (this[step, voice] >= 0)
                    notes.Add(new(this[step, voice], 80, step / stepsPerQuarter, length / stepsPerQuarter, voice));
            }
        }
        return new(notes, quartersPerMinute);
    }

    /// <summary>The same music, of which all but some voices is unknown: what a model is to harmonise.</summary>
    /// <param name="voices">The voices that stay, counted from 0.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such voice.</exception>
    public VoiceGrid Only(params IReadOnlyList<int> voices)
    {
        ArgumentNullException.ThrowIfNull(voices);
        foreach (int voice in voices)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(voice, nameof(voices));
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(voice, Voices, nameof(voices));
        }
        return With((step, voice) => voices.Contains(voice) ? this[step, voice] : Unknown);
    }

    /// <summary>The music as <see cref="Parse"/> reads it.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        for (int i = 0; i < _pitches.Length; i++)
        {
            text.Append(i == 0 ? "" : i % Voices == 0 ? " " : ",");
            if (_pitches[i] >= 0)
                text.Append(CultureInfo.InvariantCulture, $"{_pitches[i]}");
            else
                text.Append(_pitches[i] == Rest ? '-' : '?');
        }
        return text.ToString();
    }

    /// <summary>As much music with other pitches.</summary>
    internal VoiceGrid With(Func<int, int, int> pitch) => new(Enumerable.Range(0, Steps).Select(
        step => (int[])[.. Enumerable.Range(0, Voices).Select(voice => pitch(step, voice))]));
}
