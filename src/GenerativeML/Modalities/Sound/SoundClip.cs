using NAudio.Wave;
using NAudio.Wave.SampleProviders;

namespace GenerativeML;

/// <summary>Sound of one channel: samples from −1 to 1 at a steady rate. Immutable.</summary>
public sealed class SoundClip
{
    private const int MaxRate = 768_000, ReadSamples = 1 << 14;
    private const int MaxSamples = 100_000_000; // three and a half hours of a telephone, 400 MB

    private readonly float[] _samples;

    /// <summary>Sound of samples.</summary>
    /// <param name="samples">The samples; those beyond ±1 are brought there.</param>
    /// <param name="sampleRate">Samples in a second. From 1 to 768,000.</param>
    /// <exception cref="ArgumentException">A sample is no number, or the rate is out of its range.</exception>
    public SoundClip(ReadOnlySpan<float> samples, int sampleRate)
    {
        OptionChecks.Within(sampleRate, 1, MaxRate);
        _samples = samples.ToArray();
        for (int i = 0; i < _samples.Length; i++)
        {
            if (float.IsNaN(_samples[i]))
                throw new ArgumentException($"Sample {i} (counted from 0) is not a number.", nameof(samples));
            _samples[i] = Math.Clamp(_samples[i], -1, 1);
        }
        SampleRate = sampleRate;
    }

    /// <summary>The samples.</summary>
    public ReadOnlySpan<float> Samples => _samples;

    /// <summary>Samples in a second.</summary>
    public int SampleRate { get; }

    /// <summary>How long it lasts.</summary>
    public TimeSpan Duration => TimeSpan.FromSeconds(_samples.Length / (double)SampleRate);

    /// <summary>Reads a WAV file.</summary>
    /// <param name="path">The file.</param>
    /// <inheritdoc cref="ReadWav(Stream)" path="/remarks|/exception"/>
    public static SoundClip ReadWav(string path)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        using FileStream file = File.OpenRead(path);
        return ReadWav(file);
    }

    /// <summary>Reads WAV.</summary>
    /// <param name="stream">The bytes of a file.</param>
    /// <remarks>
    /// Samples may be whole numbers of 8, 16, 24 or 32 bits, or of floating point in 32 or 64; the mean of several channels is
    /// taken. Of a file that is cut short, what is there is read. A sound has 100 million samples at most.
    /// </remarks>
    /// <exception cref="FormatException">It is no WAV file, or one of another kind, or too long.</exception>
    public static SoundClip ReadWav(Stream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        try
        {
            using var reader = new WaveFileReader(stream);
            if (reader.WaveFormat is not { Channels: > 0, SampleRate: > 0 and <= MaxRate })
                throw new FormatException($"A rate of {reader.WaveFormat.SampleRate} and {reader.WaveFormat.Channels} channels cannot be right.");
            ISampleProvider provider = reader.ToSampleProvider();
            return new SoundClip(Read(provider, provider.WaveFormat.Channels), provider.WaveFormat.SampleRate);
        }
        catch (Exception damaged) when (damaged
            is FormatException or IOException or InvalidDataException or ArgumentException or InvalidOperationException or NotSupportedException)
        {
            throw new FormatException($"This is no WAV file that can be read: {damaged.Message}", damaged);
        }
    }

    /// <summary>Writes a WAV file of 16 bits.</summary>
    /// <param name="path">The file; it appears under this name when it is complete.</param>
    public void SaveWav(string path)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        using var buffer = new MemoryStream();
        using (var writer = new WaveFileWriter(buffer, new WaveFormat(SampleRate, 16, 1)))
            writer.WriteSamples(Array.ConvertAll(_samples, s => (short)Math.Round(s * short.MaxValue)), 0, _samples.Length);
        byte[] bytes = buffer.ToArray();
        AtomicFile.Write(path, file => file.Write(bytes));
    }

    /// <summary>The same sound at another rate, without what the lower of the two cannot carry.</summary>
    /// <param name="sampleRate">Samples in a second. From 1 to 768,000.</param>
    /// <exception cref="FormatException">There would be more than 100 million samples.</exception>
    public SoundClip Resample(int sampleRate)
    {
        OptionChecks.Within(sampleRate, 1, MaxRate);
        if ((double)_samples.Length * sampleRate / SampleRate > MaxSamples)
            throw new FormatException(FormattableString.Invariant(
                $"{_samples.Length} samples at a rate of {SampleRate} would be more than {MaxSamples} at a rate of {sampleRate}."));
        return sampleRate == SampleRate
            ? this : new(Read(new WdlResamplingSampleProvider(new Source(_samples, SampleRate), sampleRate), 1), sampleRate);
    }

    /// <summary>
    /// The µ-law of telephones (ITU-T G.711): whole numbers from 0 to levels − 1 for samples, finer where they are small.
    /// </summary>
    internal static int[] ToMuLaw(ReadOnlySpan<float> samples, int levels)
    {
        double mu = levels - 1;
        int[] codes = new int[samples.Length];
        for (int i = 0; i < codes.Length; i++)
        {
            double bent = Math.CopySign(Math.Log(1 + mu * Math.Abs(samples[i])) / Math.Log(1 + mu), samples[i]);
            codes[i] = (int)Math.Min(mu, Math.Floor((bent + 1) / 2 * mu + 0.5));
        }
        return codes;
    }

    /// <summary>A sample for a number of <see cref="ToMuLaw"/>.</summary>
    internal static float FromMuLaw(int code, int levels)
    {
        double mu = levels - 1, bent = 2 * code / mu - 1;
        return (float)(Math.Sign(bent) * (Math.Pow(1 + mu, Math.Abs(bent)) - 1) / mu);
    }

    // All samples, of several channels their mean.
    private static float[] Read(ISampleProvider provider, int channels)
    {
        List<float> samples = [];
        float[] buffer = new float[ReadSamples / channels * channels + channels];
        // What is no whole frame stands at the end of a file that is cut short.
        for (int frames; (frames = provider.Read(buffer) / channels) > 0;)
        {
            if (samples.Count + (long)frames > MaxSamples)
                throw new FormatException($"It has more than {MaxSamples} samples.");
            for (int i = 0; i < frames; i++)
            {
                float sum = 0;
                for (int channel = 0; channel < channels; channel++)
                    sum += buffer[i * channels + channel];
                samples.Add(sum / channels);
            }
        }
        return [.. samples];
    }

    private sealed class Source(float[] samples, int rate) : ISampleProvider
    {
        private int _at;

        public WaveFormat WaveFormat { get; } = WaveFormat.CreateIeeeFloatWaveFormat(rate, 1);

        public int Read(Span<float> buffer)
        {
            int count = Math.Min(buffer.Length, samples.Length - _at);
            samples.AsSpan(_at, count).CopyTo(buffer);
            _at += count;
            return count;
        }
    }
}
