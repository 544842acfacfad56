using TorchSharp;
using static TorchSharp.torch.nn.functional;

namespace GenerativeML;

/// <summary>
/// A linear layer of a GPT, (…, Inputs) → (…, Outputs), with a bias or without, and with a low-rank adapter or without.
/// </summary>
internal sealed class GptDense : torch.nn.Module<torch.Tensor, torch.Tensor>
{
    private readonly bool _bfloat16;
    private readonly double _adapterScale;

    // Field names become state dict keys; those that are null are passed over.
    private readonly torch.Tensor weight; // (Outputs, Inputs)
    private readonly torch.Tensor? bias; // (Outputs)
    private readonly torch.Tensor? lora_A; // (rank, Inputs)
    private readonly torch.Tensor? lora_B; // (Outputs, rank)

    /// <summary>
    /// Weights normal with <paramref name="deviation"/>, biases zero. An adapter starts as nothing: B is zero, and A
    /// normal with 1/√Inputs. With an adapter, nothing else is trained.
    /// </summary>
    public GptDense(
        int inputs, int outputs, bool biases, double deviation, LoraOptions? adapter, bool bfloat16,
        SeededRandom random)
        : base(nameof(GptDense))
    {
        _bfloat16 = bfloat16;
        weight = random.Normal([outputs, inputs], deviation);
        bias = biases ? torch.zeros((long)outputs, torch.ScalarType.Float32, random.Device) : null;
        if (adapter is not null)
        {
            _adapterScale = adapter.Alpha / adapter.Rank;
            lora_A = random.Normal([adapter.Rank, inputs], 1 / Math.Sqrt(inputs));
            lora_B = torch.zeros(outputs, adapter.Rank, torch.ScalarType.Float32, random.Device);
        }
        RegisterComponents();
    }

    /// <summary>(Outputs, Inputs).</summary>
    public torch.Tensor Weight => weight;

    /// <summary>A of the adapter, (rank, Inputs), and B, (Outputs, rank).</summary>
    public (torch.Tensor A, torch.Tensor B)? Adapter => lora_A is null ? null : (lora_A, lora_B!);

    public override torch.Tensor forward(torch.Tensor input)
    {
        torch.Tensor product = Product(input);
        return lora_A is null
            ? product
            : product.add(linear(linear(input, lora_A), lora_B!).mul(_adapterScale));
    }

    private torch.Tensor Product(torch.Tensor input)
    {
        // In training only: what a trained model gives should not depend on how its weights were found.
        if (!_bfloat16 || !training)
            return linear(input, weight, bias);
        torch.Tensor product = linear(input.to(torch.ScalarType.BFloat16), weight.to(torch.ScalarType.BFloat16))
            .to(torch.ScalarType.Float32);
        return bias is null ? product : product.add(bias);
    }
}
