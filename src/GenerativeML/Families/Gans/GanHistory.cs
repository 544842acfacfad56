using TorchSharp;

namespace GenerativeML;

/// <summary>
/// The figures of a GAN's training, stage by stage, in tensors: so that a checkpoint holds them, and a resumed run
/// reports on all of it.
/// </summary>
internal sealed class GanHistory : torch.nn.Module
{
    private const int Players = 2;
    private const int Figures = 8;

    private readonly int _stages;
    private readonly torch.Tensor figures; // (stages, figures of GanFigures)
    private readonly torch.Tensor loss, loss_count, norm, norm_count; // (players): sums since the last stage

    public GanHistory(int stages, torch.Device device)
        : base(nameof(GanHistory))
    {
        _stages = stages;
        figures = torch.zeros([stages, Figures], torch.ScalarType.Float32, device);
        loss = torch.zeros([Players], torch.ScalarType.Float32, device);
        loss_count = torch.zeros([Players], torch.ScalarType.Float32, device);
        norm = torch.zeros([Players], torch.ScalarType.Float32, device);
        norm_count = torch.zeros([Players], torch.ScalarType.Float32, device);
        RegisterComponents();
    }

    /// <summary>The stage that ends with a step, counted from zero; −1 for none.</summary>
    public int StageAt(long step, long steps)
    {
        long before = step * _stages / steps, after = (step + 1) * _stages / steps;
        return after > before ? (int)after - 1 : -1;
    }

    /// <summary>Counts the loss of an update of one of the players: 0 is the discriminator.</summary>
    public void CountLoss(int player, IReadOnlyList<LossTerm> terms)
    {
        using IDisposable noGradient = torch.no_grad();
        foreach (LossTerm term in terms)
            loss.narrow(0, player, 1).add_(term.Value.detach());
        loss_count.narrow(0, player, 1).add_(1);
    }

    /// <summary>Counts the norm of the gradient that an update has left.</summary>
    public void CountGradient(int player, IReadOnlyList<torch.Tensor> parameters)
    {
        using IDisposable noGradient = torch.no_grad();
        torch.Tensor squares = torch.cat([.. parameters.Select(p => p.grad!.square().sum().unsqueeze(0))]);
        norm.narrow(0, player, 1).add_(squares.sum().sqrt());
        norm_count.narrow(0, player, 1).add_(1);
    }

    /// <summary>Closes a stage.</summary>
    public GanFigures Close(int stage, long step, double slicedWasserstein, double meanDiscrepancy, double coverage)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        float[] losses = Means(loss, loss_count), norms = Means(norm, norm_count);
        float[] row =
        [
            step, losses[0], losses[1], norms[0], norms[1],
            (float)slicedWasserstein, (float)meanDiscrepancy, (float)coverage,
        ];
        figures.narrow(0, stage, 1).copy_(HostTensors.FromRows(row, 1, Figures, figures.device));
        foreach (torch.Tensor sum in new[] { loss, loss_count, norm, norm_count })
            sum.fill_(0);
        return Of(row);

        static float[] Means(torch.Tensor sums, torch.Tensor counts)
        {
            float[] means = new float[Players];
            HostTensors.CopyTo(sums.div(counts.clamp_min(1)), means);
            return means;
        }
    }

    /// <summary>All stages that have been closed.</summary>
    public IReadOnlyList<GanFigures> Stages()
    {
        float[] all = new float[_stages * Figures];
        HostTensors.CopyTo(figures, all);
        return [.. all.Chunk(Figures).Where(row => row[0] > 0).Select(Of)];
    }

    private static GanFigures Of(float[] row) => new()
    {
        Step = (long)row[0],
        DiscriminatorLoss = row[1],
        GeneratorLoss = row[2],
        DiscriminatorGradientNorm = row[3],
        GeneratorGradientNorm = row[4],
        SlicedWasserstein = row[5],
        MeanDiscrepancy = row[6],
        Coverage = row[7],
    };
}
