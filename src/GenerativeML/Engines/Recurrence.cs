using TorchSharp;

namespace GenerativeML;

/// <summary>The cells of a recurrent network.</summary>
public enum RecurrentCell
{
    /// <summary>
    /// Long short-term memory (Hochreiter and Schmidhuber 1997, with the forget gate of Gers 2000): four gates, and a
    /// memory beside the state.
    /// </summary>
    Lstm,

    /// <summary>
    /// The gated recurrent unit (Cho 2014), with the reset gate behind the product, as torch and cuDNN compute it: three
    /// gates, and three quarters of the weights.
    /// </summary>
    Gru,
}

/// <summary>
/// A recurrent layer's weights as torch has them: of the inputs (gates·width, inputs), of the state (gates·width, width),
/// and a bias of each (gates·width). An LSTM's gates are input, forget, cell, output; a GRU's are reset, update, new.
/// </summary>
internal readonly record struct RecurrentWeights<T>(T Input, T State, T InputBias, T StateBias);

/// <summary>What both cells are made of.</summary>
internal static class RecurrentCells
{
    // TorchSharp has these operators as modules alone, which own their weights and draw dropout from the process's
    // random state.
    private const string Source = """
        def lstm(x: Tensor, h: Tensor, c: Tensor, weights: List[Tensor]) -> List[Tensor]:
            y, last, memory = torch.lstm(x, [h, c], weights, True, 1, 0.0, torch.is_grad_enabled(), False, True)
            return [y, last, memory]

        def gru(x: Tensor, h: Tensor, weights: List[Tensor]) -> List[Tensor]:
            y, last = torch.gru(x, h, weights, True, 1, 0.0, torch.is_grad_enabled(), False, True)
            return [y, last]

        """; // without a line's end after the last statement the parser fails

    // LstmPass takes five sixths of oneDNN's time on one thread, a quarter of it beside products: on many, that would be more.
    private const int MaxThreads = 2;

    private static readonly Lazy<torch.jit.CompilationUnit> Compiled = new(() => torch.jit.compile(Source));

    /// <summary>Gates, for each of which the weights have as many rows as the state has features.</summary>
    public static int Gates(this RecurrentCell cell) => cell == RecurrentCell.Lstm ? 4 : 3;

    /// <summary>The parts of a state: an LSTM's has a memory behind the hidden state.</summary>
    public static IReadOnlyList<string> Parts(this RecurrentCell cell) =>
        cell == RecurrentCell.Lstm ? ["hidden", "memory"] : ["hidden"];

    /// <summary>Where ONNX's gates stand among torch's: input, output, forget, cell; update, reset, hidden.</summary>
    public static int[] OnnxGates(this RecurrentCell cell) => cell == RecurrentCell.Lstm ? [0, 3, 1, 2] : [1, 0, 2];

    /// <summary>
    /// Runs a layer by torch, (B, T, inputs) → (B, T, width), from a state to the last, whose parts are (1, B, width).
    /// </summary>
    public static (torch.Tensor Hidden, torch.Tensor[] Last) Run(
        RecurrentCell cell, torch.Tensor x, torch.Tensor[] first, RecurrentWeights<TorchTensor> weights)
    {
        torch.Tensor[] all = [weights.Input, weights.State, weights.InputBias, weights.StateBias];
        if (cell == RecurrentCell.Lstm && x.device_type == DeviceType.CPU && torch.is_grad_enabled()
            && torch.get_num_threads() <= MaxThreads && all.Any(weight => weight.requires_grad))
        {
            List<torch.Tensor> own = LstmPass.apply([x, .. first, .. all]);
            return (own[0], [own[1], own[2]]);
        }
        object[] arguments = [x, .. first, all];
        torch.jit.CompilationUnit compiled = Compiled.Value;
        using var held = new HeldSignals();
        torch.Tensor[] results = compiled.invoke<torch.Tensor[]>(
            cell == RecurrentCell.Lstm ? "lstm" : "gru", arguments);
        return (results[0], results[1..]);
    }
}

/// <summary>What recurrent layers remember of sequences between runs.</summary>
internal interface IRecurrentStates
{
    /// <summary>A layer's state before a run, its parts (1, B, width) each; null for zeros.</summary>
    torch.Tensor[]? Read(string layer, torch.Tensor[] zeros);

    /// <summary>Takes its state after the run.</summary>
    void Write(string layer, torch.Tensor[] last);
}

/// <summary>The states of a run of windows, each of which goes on where the one before it ended.</summary>
internal sealed class RecurrentStates(int parts) : IRecurrentStates
{
    private readonly OrderedDictionary<string, torch.Tensor[]> _layers = [];
    private torch.Tensor? _first; // (layers·parts, B, width)

    /// <summary>Sets what all layers begin with, in the order in which they are computed: (layers·parts, B, width).</summary>
    public void Begin(torch.Tensor all)
    {
        _layers.Clear();
        _first = all;
    }

    public torch.Tensor[]? Read(string layer, torch.Tensor[] zeros) =>
        _layers.TryGetValue(layer, out torch.Tensor[]? known) ? known
        : _first is null ? null
        : [.. Enumerable.Range(_layers.Count * parts, parts).Select(i => _first.narrow(0, i, 1))];

    public void Write(string layer, torch.Tensor[] last) => _layers[layer] = last;

    /// <summary>All states as they are now, without gradient: (layers·parts, B, width).</summary>
    public torch.Tensor Last() => torch.cat([.. _layers.Values.SelectMany(s => s).Select(t => t.detach())], 0);
}
