using TorchSharp;

namespace GenerativeML;

/// <summary>
/// A GPT on a device, by the network that is trained: the newest tokens of all sequences together, prompts one by one.
/// Agrees with <see cref="GptDecoder"/> but for rounding, which on a device depends on how many sequences run together.
/// </summary>
/// <param name="model">The network; shared.</param>
internal sealed class DeviceGptDecoder(DeviceGpt model) : IGptDecoder
{
    private float[] _hidden = [];

    public GptShape Shape => model.Shape;

    public int MostRows => 1024;

    public int LogitStride => Shape.VocabularySize;

    public ReadOnlySpan<float> Hidden => _hidden;

    public ISequenceCache NewCache() => new DeviceCache(Shape, model.Device);

    public void Run(ReadOnlySpan<DecoderRow> rows)
    {
        if (_hidden.Length < rows.Length * Shape.Width)
            _hidden = new float[rows.Length * Shape.Width];
        lock (model.Gate)
        {
            int end;
            for (int start = 0; start < rows.Length; start = end)
            {
                int each = SequenceLength(rows[start..]);
                end = start + each;
                while (each == 1 && end < rows.Length && SequenceLength(rows[end..]) == 1)
                    end++;
                using DisposeScope scope = torch.NewDisposeScope();
                using IDisposable noGradient = torch.no_grad();
                torch.Tensor hidden = model.Network.Continue(new DeviceTokens(rows[start..end], each, model.Device));
                HostTensors.CopyTo(hidden, _hidden.AsSpan(start * Shape.Width));
            }
        }
    }

    public void Logits(int first, int count, Memory<float> logits)
    {
        lock (model.Gate)
        {
            using DisposeScope scope = torch.NewDisposeScope();
            using IDisposable noGradient = torch.no_grad();
            ReadOnlySpan<float> rows = _hidden.AsSpan(first * Shape.Width, count * Shape.Width);
            torch.Tensor hidden = HostTensors.FromRows(rows, count, Shape.Width, model.Device);
            HostTensors.CopyTo(hidden.matmul(model.Network.TokenWeight.t()), logits.Span);
        }
    }

    // How many of the first rows are of the first one's sequence.
    private static int SequenceLength(ReadOnlySpan<DecoderRow> rows)
    {
        int length = 1;
        while (length < rows.Length && rows[length].Cache == rows[0].Cache
            && rows[length].Position == rows[length - 1].Position + 1)
        {
            length++;
        }
        return length;
    }
}
