namespace GenerativeML.Tests.Sounds;

[TestClass]
public sealed class SoundClipTests
{
    [TestMethod]
    public void A_WAV_file_gives_back_the_samples_to_16_bits()
    {
        string path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        try
        {
            var clip = new SoundClip([0, 0.5f, -0.25f, 1, -1, 2, 1e-3f], 8000);
            clip.SaveWav(path);
            SoundClip back = SoundClip.ReadWav(path);
            Assert.AreEqual(8000, back.SampleRate);
            Assert.AreEqual(7, back.Samples.Length);
            Assert.AreEqual(7 / 8000.0, back.Duration.TotalSeconds, 1e-6);
            for (int i = 0; i < 7; i++)
                Assert.AreEqual(clip.Samples[i], back.Samples[i], 1.01f / short.MaxValue);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [TestMethod]
    [DataRow(8, new byte[] { 128, 255, 0, 64 })]
    [DataRow(16, new byte[] { 0, 0, 255, 127, 0, 128, 0, 192 })]
    [DataRow(24, new byte[] { 0, 0, 0, 255, 255, 127, 0, 0, 128, 0, 0, 192 })]
    [DataRow(32, new byte[] { 0, 0, 0, 0, 255, 255, 255, 127, 0, 0, 0, 128, 0, 0, 0, 192 })]
    public void Samples_of_any_width_are_read_and_channels_averaged(int bits, byte[] samples)
    {
        // Silence, the loudest, the lowest, and half of that: as one channel, and as two, of which the mean is taken.
        float[] expected = [0, 1, -1, -0.5f];
        ReadOnlySpan<float> mono = SoundClip.ReadWav(Wav(1, bits, 1, samples)).Samples;
        for (int i = 0; i < 4; i++)
            Assert.AreEqual(expected[i], mono[i], 0.01f);
        ReadOnlySpan<float> stereo = SoundClip.ReadWav(Wav(1, bits, 2, samples)).Samples;
        Assert.AreEqual(2, stereo.Length);
        Assert.AreEqual(0.5f, stereo[0], 0.01f);
        Assert.AreEqual(-0.75f, stereo[1], 0.01f);
    }

    [TestMethod]
    public void Floating_point_is_read_and_what_is_no_sound_is_refused()
    {
        byte[] floats = [.. new[] { 0.25f, -0.5f }.SelectMany(BitConverter.GetBytes)];
        Assert.AreSequenceEqual(new[] { 0.25f, -0.5f }, SoundClip.ReadWav(Wav(3, 32, 1, floats)).Samples.ToArray());
        byte[] whole = Wav(1, 16, 1, [1, 0, 2, 0]).ToArray();
        for (int length = 0; length < 36; length++)
            Assert.Throws<FormatException>(() => SoundClip.ReadWav(new MemoryStream(whole[..length])));
        Assert.AreEqual(1, SoundClip.ReadWav(new MemoryStream(whole[..^2])).Samples.Length); // cut short
        byte[] stereo = Wav(1, 16, 2, [0, 64, 0, 32, 0, 64, 0, 32]).ToArray();
        Assert.AreSequenceEqual(new[] { 0.375f }, SoundClip.ReadWav(new MemoryStream(stereo[..^2])).Samples.ToArray());
        byte[] slow = [.. whole];
        BitConverter.TryWriteBytes(slow.AsSpan(24), 1); // of a rate of one
        Assert.AreEqual(1, SoundClip.ReadWav(new MemoryStream(slow)).SampleRate);
        StringAssert.Contains(Assert.Throws<FormatException>(() => new SoundClip(new float[200_000], 1).Resample(768_000)).Message, "100000000");
        Assert.Throws<FormatException>(() => SoundClip.ReadWav(Wav(85, 16, 1, [1, 0]))); // MP3 within WAV
        Assert.Throws<ArgumentException>(() => new SoundClip([float.NaN], 8000));
        StringAssert.Contains(
            Assert.Throws<FormatException>(() => SoundClip.ReadWav(Wav(3, 32, 1, BitConverter.GetBytes(float.NaN)))).Message, "Sample 0");
        Assert.Throws<FormatException>(() => SoundClip.ReadWav(Wav(1, 16, 0, [1, 0]))); // no channel
        Assert.Throws<FormatException>(() => SoundClip.ReadWav(Wav(1, 12, 1, [1, 0, 2])));
        Assert.AreSequenceEqual(new[] { 0.25f }, SoundClip.ReadWav(Wav(3, 64, 1, BitConverter.GetBytes(0.25))).Samples.ToArray());
        // Without samples; of a writer that did not know how many would come, and one that said too many.
        Assert.AreEqual(0, SoundClip.ReadWav(Wav(1, 16, 1, [])).Samples.Length);
        foreach (int said in (int[])[-1, 1000])
        {
            byte[] piped = [.. whole];
            BitConverter.TryWriteBytes(piped.AsSpan(40), said);
            Assert.AreEqual(2, SoundClip.ReadWav(new MemoryStream(piped)).Samples.Length);
        }
        Assert.Throws<ArgumentOutOfRangeException>(() => new SoundClip([], 0));
    }

    [TestMethod]
    public void A_tone_stays_a_tone_at_another_rate()
    {
        var tone = new SoundClip([.. Enumerable.Range(0, 16_000).Select(i => 0.5f * MathF.Sin(2 * MathF.PI * 440 * i / 16_000))], 16_000);
        SoundClip lower = tone.Resample(8000);
        Assert.AreEqual(8000, lower.Samples.Length, 20);
        // By its zeros: 440 rises in a second.
        int rises = 0;
        for (int i = 1; i < lower.Samples.Length; i++)
            rises += lower.Samples[i - 1] < 0 && lower.Samples[i] >= 0 ? 1 : 0;
        Assert.AreEqual(440, rises, 2);
        Assert.AreSame(tone, tone.Resample(16_000));
    }

    [TestMethod]
    public void The_law_is_that_of_telephones()
    {
        // F(x) = ln(1 + 255·x) / ln 256 by hand: F(0) = 0, F(1) = 1, F(1/17) = ½, for 1 + 255/17 = 16 = √256.
        Assert.AreSequenceEqual(new[] { 128, 255, 0, 191, 64 }, SoundClip.ToMuLaw([0, 1, -1, 1 / 17f, -1 / 17f], 256));
        for (int code = 0; code < 256; code++)
            Assert.AreEqual(code, SoundClip.ToMuLaw([SoundClip.FromMuLaw(code, 256)], 256)[0]);
        Assert.AreEqual(1, SoundClip.FromMuLaw(255, 256), 1e-6f);
    }

    private static MemoryStream Wav(short format, int bits, short channels, byte[] samples)
    {
        var stream = new MemoryStream();
        using (var writer = new BinaryWriter(stream, System.Text.Encoding.ASCII, leaveOpen: true))
        {
            writer.Write("RIFF"u8);
            writer.Write(36 + samples.Length);
            writer.Write("WAVEfmt "u8);
            writer.Write(16);
            writer.Write(format);
            writer.Write(channels);
            writer.Write(8000);
            writer.Write(8000 * channels * bits / 8);
            writer.Write((short)(channels * bits / 8));
            writer.Write((short)bits);
            writer.Write("data"u8);
            writer.Write(samples.Length);
            writer.Write(samples);
        }
        stream.Position = 0;
        return stream;
    }
}
