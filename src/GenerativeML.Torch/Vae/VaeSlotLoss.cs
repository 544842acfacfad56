using System.Numerics;
using TorchSharp;

namespace GenerativeML.Torch;

/// <summary>
/// The negative log-likelihood of a row's slots, in nats, and its gradients, in a training step; what the output's
/// variances get from each thread's rows is added up at the end.
/// </summary>
/// <param name="width">Slots of a row, D.</param>
/// <param name="threads">How many threads there are.</param>
internal sealed unsafe class VaeSlotLoss(int width, int threads)
{
    private static readonly float HalfLogTwoPi = (float)(0.5 * Math.Log(2 * Math.PI));

    // (D): one for slots that are Bernoulli and for those that are Gaussian and vary, the logarithm of the variance and
    // one over it.
    private readonly AlignedBuffer<float> _bernoulli = new(width), _gaussian = new(width);
    private readonly AlignedBuffer<float> _logVariance = new(width), _precision = new(width);
    private readonly AlignedBuffer<float> _slopes = new(threads * width); // by the logarithm of the variance
    private readonly double[] _losses = new double[threads];
    private TrainedArray _parameter;

    /// <summary>Takes what is known of the slots, before all else.</summary>
    public void Take(VaeModel model)
    {
        _parameter = TrainedArray.Of(model.Network.OutputLogVarianceParameter);
        HostArray bernoulli = HostArray.Of(model.IsBernoulli), scale = HostArray.Of(model.InputScale);
        for (int i = 0; i < width; i++)
        {
            _bernoulli.Address[i] = *bernoulli.At(i) > 0 ? 1 : 0;
            _gaussian.Address[i] = *bernoulli.At(i) > 0 || *scale.At(i) <= 0 ? 0 : 1;
            _logVariance.Address[i] = MathF.Max(_parameter.Value[i], (float)VaeNetwork.LeastLogVariance);
            _precision.Address[i] = MathF.Exp(-_logVariance.Address[i]);
        }
        _slopes.Span.Clear();
        Array.Clear(_losses);
    }

    /// <summary>A row's loss is counted; writes its gradient by what the decoder gave, times a factor.</summary>
    /// <param name="target">(D).</param>
    /// <param name="decoded">(D): means, and log-odds where slots are Bernoulli.</param>
    /// <param name="slopes">(D): overwritten.</param>
    /// <param name="factor">What the gradients are multiplied by.</param>
    /// <param name="worker">This thread.</param>
    public void Run(float* target, float* decoded, float* slopes, float factor, int worker)
    {
        float* bySlot = _slopes.Address + worker * width;
        Vector<float> sums = Vector<float>.Zero;
        int i = 0;
        for (; i <= width - Vector<float>.Count; i += Vector<float>.Count)
        {
            Vector<float> t = Vector.Load(target + i), x = Vector.Load(decoded + i);
            Vector<float> bernoulli = Vector.Load(_bernoulli.Address + i), gaussian = Vector.Load(_gaussian.Address + i);

            // log(1 + eˣ) − t·x, and σ(x) − t.
            Vector<float> small = Exponential.Of(-Vector.Abs(x)), one = Vector<float>.One;
            Vector<float> entropy = Vector.Max(x, Vector<float>.Zero) + Vector.Log(one + small) - t * x;
            Vector<float> share = Vector.ConditionalSelect(
                Vector.GreaterThanOrEqual(x, Vector<float>.Zero), one, small) / (one + small);

            Vector<float> logVariance = Vector.Load(_logVariance.Address + i);
            Vector<float> precise = (x - t) * Vector.Load(_precision.Address + i), square = precise * (x - t);
            Vector<float> density = (square + logVariance) * 0.5f + new Vector<float>(HalfLogTwoPi);

            sums += bernoulli * entropy + gaussian * density;
            Vector.Store((bernoulli * (share - t) + gaussian * precise) * factor, slopes + i);
            Vector.Store(Vector.Load(bySlot + i) + gaussian * (one - square) * (0.5f * factor), bySlot + i);
        }
        double sum = Vector.Sum(sums);
        for (; i < width; i++)
        {
            float t = target[i], x = decoded[i], small = MathF.Exp(-MathF.Abs(x));
            float precise = (x - t) * _precision.Address[i], square = precise * (x - t);
            if (_bernoulli.Address[i] > 0)
            {
                sum += MathF.Max(x, 0) + MathF.Log(1 + small) - t * x;
                slopes[i] = ((x >= 0 ? 1 : small) / (1 + small) - t) * factor;
                continue;
            }
            float gaussian = _gaussian.Address[i];
            sum += gaussian * ((square + _logVariance.Address[i]) * 0.5f + HalfLogTwoPi);
            slopes[i] = gaussian * precise * factor;
            bySlot[i] += gaussian * (1 - square) * 0.5f * factor;
        }
        _losses[worker] += sum;
    }

    /// <summary>Adds up the variances' gradients, when all threads are done, and gives the sum of all rows' losses.</summary>
    public double Finish()
    {
        for (int worker = 0; worker < threads; worker++)
        {
            for (int i = 0; i < width; i++)
            {
                // What is held at the least variance does not move.
                if (_parameter.Value[i] >= (float)VaeNetwork.LeastLogVariance)
                    _parameter.Gradient[i] += _slopes.Address[worker * width + i];
            }
        }
        return _losses.Sum();
    }
}
