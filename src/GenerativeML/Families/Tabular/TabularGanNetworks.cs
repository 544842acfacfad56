using TorchSharp;
using TorchSharp.Modules;

namespace GenerativeML;

/// <summary>
/// Makes rows of tokens and offsets from noise and from the token that is given in one position: (B, Z + T) → (B, row),
/// log-odds of the tokens and offsets before their squashing. Each hidden layer sees all before it.
/// </summary>
internal sealed class TabularGanGenerator : torch.nn.Module<torch.Tensor, torch.Tensor>
{
    private readonly ModuleList<Dense> hidden;
    private readonly ModuleList<EnsembleBatchNorm> norms;
    private readonly Dense output;

    public TabularGanGenerator(TabularGanShape shape, SeededRandom random)
        : base(nameof(TabularGanGenerator))
    {
        int width = shape.NoiseDimension + shape.Tokens.Sum();
        var layers = new List<Dense>();
        foreach (int next in shape.HiddenLayers)
        {
            layers.Add(new Dense(width, next, random));
            width += next;
        }
        hidden = new([.. layers]);
        norms = new([.. shape.HiddenLayers.Select(w => new EnsembleBatchNorm(1, w, random.Device))]);
        output = new Dense(width, shape.RowWidth, random);
        RegisterComponents();
    }

    public override torch.Tensor forward(torch.Tensor input)
    {
        torch.Tensor x = input;
        for (int i = 0; i < hidden.Count; i++)
        {
            torch.Tensor next = norms[i].call(hidden[i].call(x).unsqueeze(0)).squeeze(0).relu();
            x = torch.cat([next, x], 1);
        }
        return output.call(x);
    }
}

/// <summary>Judges packs of rows with the tokens that were given: (B / p, p·(row + T)) → (B / p, 1).</summary>
internal sealed class TabularGanDiscriminator : torch.nn.Module
{
    private const double Slope = 0.2;

    private readonly ModuleList<Dense> layers;

    public TabularGanDiscriminator(TabularGanShape shape, int pack, SeededRandom random)
        : base(nameof(TabularGanDiscriminator))
    {
        int[] widths = [pack * (shape.RowWidth + shape.Tokens.Sum()), .. shape.HiddenLayers, 1];
        layers = new([.. widths.Zip(widths.Skip(1)).Select(w => new Dense(w.First, w.Second, random))]);
        RegisterComponents();
    }

    /// <summary>The outputs, with hidden units left out at random.</summary>
    public torch.Tensor Judge(torch.Tensor packs, double dropout, SeededRandom random)
    {
        torch.Tensor x = packs;
        for (int i = 0; i < layers.Count - 1; i++)
        {
            x = torch.nn.functional.leaky_relu(layers[i].call(x), Slope);
            x = SeededDropout.Apply(x, dropout, random);
        }
        return layers[layers.Count - 1].call(x);
    }
}
