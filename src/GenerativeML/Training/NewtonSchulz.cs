using TorchSharp;

namespace GenerativeML;

/// <summary>Matrices with about the same singular vectors, and all singular values about one.</summary>
internal static class NewtonSchulz
{
    // An odd polynomial that lifts small singular values quickly, and keeps all of them between 0.7 and 1.2: Jordan's
    // choice, see FlatMuon. More would cost time and bring nothing.
    private const double A = 3.4445, B = -4.775, C = 2.0315;
    private const int Steps = 5;

    /// <summary>(N, rows, columns) → (N, rows, columns), each matrix for itself.</summary>
    public static torch.Tensor Orthogonalize(torch.Tensor matrices)
    {
        bool tall = matrices.shape[1] > matrices.shape[2];
        torch.Tensor x = tall ? matrices.transpose(1, 2) : matrices;
        torch.Tensor norm = x.square().sum(2, keepdim: true).sum(1, keepdim: true).sqrt().add_(1e-7);
        x = x.div(norm);
        for (int i = 0; i < Steps; i++)
        {
            torch.Tensor square = x.bmm(x.transpose(1, 2));
            torch.Tensor factor = square.bmm(square).mul_(C).add_(square, B);
            x = factor.bmm(x).add_(x, A);
        }
        return tall ? x.transpose(1, 2) : x;
    }
}
