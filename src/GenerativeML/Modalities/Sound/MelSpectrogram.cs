using System.Diagnostics;
using NAudio.Dsp;

namespace GenerativeML;

/// <summary>
/// How loud sound is at which pitch, frame by frame: Hann windows of four frames or more, whose powers are summed up in
/// triangles that are even on the mel scale, 2595·log₁₀(1 + f / 700), from 0 to half the rate; of the sums the amplitude, on a
/// logarithmic scale. A sine of amplitude 1 at the peak of a narrow triangle has about 1, and 0 is 100 dB less or silence.
/// Immutable, but for one thread at a time.
/// </summary>
internal sealed class MelSpectrogram
{
    private const double Least = 1e-5; // 100 dB below a sine of amplitude 1

    private readonly int _bands, _hop;
    private readonly FftProcessor _fft;
    private readonly Complex[] _spectrum;
    private readonly float[] _window;
    private readonly double _unit; // what makes amplitudes of sines of what the transform gives
    private readonly (int First, double[] Weights)[] _triangles;

    /// <param name="bands">Numbers of a frame, no more than <see cref="MostBands"/> says.</param>
    /// <param name="hop">Samples of a frame.</param>
    /// <param name="sampleRate">Samples in a second.</param>
    public MelSpectrogram(int bands, int hop, int sampleRate)
    {
        int size = WindowOf(hop);
        (_bands, _hop, _fft, _window) = (bands, hop, new FftProcessor(size, FftWindowType.Hann), new float[size]);
        _spectrum = new Complex[_fft.SpectrumLength];
        _triangles = [.. Enumerable.Range(0, bands).Select(Triangle)];
        // A sine on a bin has half its amplitude there, times the mean of the window, a half, in whatever unit the transform has.
        Array.Fill(_window, 1);
        _fft.RealForward(_window, _spectrum);
        _unit = 2 / (double)_spectrum[0].X;

        (int, double[]) Triangle(int band)
        {
            (double from, double peak, double to) = Corners(band, bands, size, sampleRate);
            (int first, int last) = Bins(from, to);
            Debug.Assert(first <= last, "Options refuse more bands than windows tell apart.");
            return (first, [.. Enumerable.Range(first, last - first + 1).Select(i => i < peak ? (i - from) / (peak - from) : (to - i) / (to - peak))]);
        }
    }

    /// <summary>How many bands, of so many that are wanted, windows of this length tell apart: each triangle holds a bin.</summary>
    public static int MostBands(int wanted, int hop, int sampleRate)
    {
        int size = WindowOf(hop);
        return Enumerable.Range(1, wanted).Last(Fits);

        bool Fits(int count) => Enumerable.Range(0, count).All(band =>
        {
            (double from, _, double to) = Corners(band, count, size, sampleRate);
            (int first, int last) = Bins(from, to);
            return first <= last;
        });
    }

    private static int WindowOf(int hop) => (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)(4 * hop));

    // Where a triangle begins, is highest and ends, in bins; and the bins between.
    private static (double From, double Peak, double To) Corners(int band, int bands, int size, int sampleRate)
    {
        double top = 2595 * Math.Log10(1 + sampleRate / 2.0 / 700);
        return (Bin(band), Bin(band + 1), Bin(band + 2));

        double Bin(int corner) => 700 * (Math.Pow(10, top * corner / (bands + 1) / 2595) - 1) * size / sampleRate;
    }

    private static (int First, int Last) Bins(double from, double to) => ((int)Math.Floor(from) + 1, (int)Math.Ceiling(to) - 1);

    /// <summary>
    /// The frames of samples, (⌈samples / hop⌉ · bands): each of the window around its own samples' middle, outside of which
    /// there is silence.
    /// </summary>
    public float[] Frames(ReadOnlySpan<float> samples)
    {
        float[] frames = new float[(samples.Length + _hop - 1) / _hop * _bands];
        for (int frame = 0; frame * _bands < frames.Length; frame++)
        {
            int start = frame * _hop + (_hop - _window.Length) / 2, from = Math.Max(0, start), to = Math.Min(samples.Length, start + _window.Length);
            Array.Clear(_window);
            samples[from..to].CopyTo(_window.AsSpan(from - start));
            _fft.RealForward(_window, _spectrum);
            for (int band = 0; band < _bands; band++)
            {
                (int first, double[] weights) = _triangles[band];
                double power = 0;
                for (int i = 0; i < weights.Length; i++)
                {
                    Complex at = _spectrum[first + i];
                    power += weights[i] * ((double)at.X * at.X + (double)at.Y * at.Y);
                }
                frames[frame * _bands + band] = (float)(1 - Math.Log10(Math.Max(Least, _unit * Math.Sqrt(power))) / Math.Log10(Least));
            }
        }
        return frames;
    }
}
