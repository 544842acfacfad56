using System.Numerics.Tensors;

namespace GenerativeML;

/// <summary>Small dense matrices in double precision, row by row.</summary>
internal static class SymmetricMatrix
{
    /// <summary>The lower factor of a positive definite matrix; false where it is none.</summary>
    public static bool TryCholesky(ReadOnlySpan<double> matrix, int d, Span<double> lower)
    {
        lower.Clear();
        for (int i = 0; i < d; i++)
        {
            for (int j = 0; j <= i; j++)
            {
                double rest = matrix[i * d + j] - TensorPrimitives.Dot<double>(lower.Slice(i * d, j), lower.Slice(j * d, j));
                if (i == j && !(rest > 0 && double.IsFinite(rest)))
                    return false;
                lower[i * d + j] = i == j ? Math.Sqrt(rest) : rest / lower[j * d + j];
            }
        }
        return true;
    }

    /// <summary>The inverse of a lower factor.</summary>
    public static void InvertLower(ReadOnlySpan<double> lower, int d, Span<double> inverse)
    {
        inverse.Clear();
        for (int i = 0; i < d; i++)
        {
            inverse[i * d + i] = 1 / lower[i * d + i];
            for (int j = 0; j < i; j++)
            {
                double sum = 0;
                for (int k = j; k < i; k++)
                    sum += lower[i * d + k] * inverse[k * d + j];
                inverse[i * d + j] = -sum / lower[i * d + i];
            }
        }
    }

    /// <summary>Raises the eigenvalues that are less; says whether there were any.</summary>
    public static bool ClipEigenvalues(Span<double> matrix, int d, double least)
    {
        double[] copy = matrix.ToArray(), lower = new double[d * d];
        for (int i = 0; i < d; i++)
            copy[i * d + i] -= least;
        if (TryCholesky(copy, d, lower))
            return false;
        matrix.CopyTo(copy);
        double[] vectors = Eigenvectors(copy, d); // the matrix becomes diagonal
        for (int i = 0; i < d; i++)
        {
            for (int j = 0; j <= i; j++)
            {
                double sum = 0;
                for (int k = 0; k < d; k++)
                    sum += vectors[i * d + k] * Math.Max(copy[k * d + k], least) * vectors[j * d + k];
                matrix[i * d + j] = matrix[j * d + i] = sum;
            }
        }
        return true;
    }

    // The eigenvectors, as columns, by Jacobi's rotations (Golub and Van Loan), which leave the eigenvalues behind.
    private static double[] Eigenvectors(double[] matrix, int d)
    {
        double[] vectors = new double[d * d];
        for (int i = 0; i < d; i++)
            vectors[i * d + i] = 1;
        for (int sweep = 0; sweep < 60; sweep++)
        {
            double off = 0, all = 0;
            for (int i = 0; i < d * d; i++)
                (off, all) = (off + (i / d == i % d ? 0 : matrix[i] * matrix[i]), all + matrix[i] * matrix[i]);
            if (off <= 1e-30 * all)
                break;
            for (int p = 0; p < d; p++)
            {
                for (int q = p + 1; q < d; q++)
                    Rotate(matrix, vectors, d, p, q);
            }
        }
        return vectors;
    }

    private static void Rotate(double[] a, double[] vectors, int d, int p, int q)
    {
        double apq = a[p * d + q];
        if (apq == 0)
            return;
        double theta = (a[q * d + q] - a[p * d + p]) / (2 * apq);
        double t = (theta >= 0 ? 1 : -1) / (Math.Abs(theta) + Math.Sqrt(theta * theta + 1));
        double cosine = 1 / Math.Sqrt(t * t + 1), sine = t * cosine;
        for (int k = 0; k < d; k++)
            (a[k * d + p], a[k * d + q]) = (cosine * a[k * d + p] - sine * a[k * d + q], sine * a[k * d + p] + cosine * a[k * d + q]);
        for (int k = 0; k < d; k++)
            (a[p * d + k], a[q * d + k]) = (cosine * a[p * d + k] - sine * a[q * d + k], sine * a[p * d + k] + cosine * a[q * d + k]);
        for (int k = 0; k < d; k++)
        {
            (vectors[k * d + p], vectors[k * d + q]) = (
                cosine * vectors[k * d + p] - sine * vectors[k * d + q], sine * vectors[k * d + p] + cosine * vectors[k * d + q]);
        }
    }
}
