using TorchSharp;

namespace GenerativeML;

/// <summary>How likely rows are under a VAE. Its random numbers are the same for every row and every call.</summary>
internal sealed class VaeScoring(VaeModel model)
{
    /// <summary>(B, D), conditions (B, C) or null → each row's score, (B): the higher, the stranger.</summary>
    public torch.Tensor Score(torch.Tensor rows, torch.Tensor? conditions) => model.Shape.Score switch
    {
        VaeScore.NegativeLogLikelihood => NegativeLogLikelihood(rows, conditions, model.Shape.ScoreSamples),
        _ => SlotScore(rows, conditions).sum(1L),
    };

    /// <summary>
    /// Each slot's share of the score; where that is the negative log-likelihood, the negative log-likelihood of each
    /// slot given the mean of its row's code, in nats: (B, D) → (B, D).
    /// </summary>
    public torch.Tensor SlotScore(torch.Tensor rows, torch.Tensor? conditions)
    {
        if (model.Novelty is VaeNovelty novelty)
            return Evidence(rows, conditions).Slots(novelty.PartWeight);
        torch.Tensor? condition = model.Conditions.Scaled(conditions);
        torch.Tensor standardized = model.Standardize(rows);
        torch.Tensor decoded = model.Decode(model.Encode(standardized, condition).Mean, condition);
        return model.SlotLoss(model.Target(rows, standardized), decoded)
            .add(model.SlotCorrection(rows, standardized));
    }

    /// <summary>What <see cref="VaeScore.Novelty"/> is made of.</summary>
    public VaeEvidence Evidence(torch.Tensor rows, torch.Tensor? conditions)
    {
        Passage passage = Pass(rows, conditions);
        (torch.Tensor near, torch.Tensor far) = model.Novelty!.Distances(passage.Standardized);
        return new VaeEvidence(
            model.SlotExcess(rows, passage.Standardized, passage.Decoded),
            VaeModel.KlDivergence(passage.Mean, passage.LogVariance).sum(1L),
            model.Novelty.Difference(passage.Differences),
            near,
            far);
    }

    /// <summary>
    /// The encoder's last hidden units for rows, less the same for their reconstructions: (B, D) → (B, H).
    /// </summary>
    public torch.Tensor Differences(torch.Tensor rows, torch.Tensor? conditions) => Pass(rows, conditions).Differences;

    /// <summary>
    /// −log p(x), estimated by importance sampling with so many codes (Burda 2016, equation 8): an upper bound in the
    /// mean, the ELBO with one code, and the closer the more there are. (B, D) → (B).
    /// </summary>
    public torch.Tensor NegativeLogLikelihood(torch.Tensor rows, torch.Tensor? conditions, int samples)
    {
        torch.Tensor? condition = model.Conditions.Scaled(conditions);
        torch.Tensor standardized = model.Standardize(rows);
        torch.Tensor target = model.Target(rows, standardized);
        (torch.Tensor mean, torch.Tensor logVariance) = model.Encode(standardized, condition);
        torch.Tensor deviation = logVariance.mul(0.5).exp();
        float[] draws = VaeDraws.Of(model.Shape, samples);
        torch.Tensor noise = HostTensors.FromRows(draws, samples, mean.shape[1], rows.device);
        var weights = new torch.Tensor[samples]; // log p(x|z) + log p(z) − log q(z|x), less what all have in common
        for (int k = 0; k < samples; k++)
        {
            using DisposeScope scope = torch.NewDisposeScope();
            torch.Tensor drawn = noise.narrow(0, k, 1); // (1, Z)
            torch.Tensor code = mean.add(deviation.mul(drawn));
            torch.Tensor likelihood = model.SlotLoss(target, model.Decode(code, condition)).sum(1L).mul(-1);
            torch.Tensor ratio = drawn.square().sub(code.square()).add(logVariance).mul(0.5).sum(1L);
            weights[k] = likelihood.add(ratio).unsqueeze(0).MoveToOuterDisposeScope();
        }
        torch.Tensor common = model.SlotCorrection(rows, standardized).sum(1L);
        torch.Tensor all = torch.cat(weights, 0); // (K, B)
        return all.logsumexp(0).mul(-1).add(Math.Log(samples)).add(common);
    }

    /// <summary>Encodes rows, decodes the means of their codes, and encodes what comes out.</summary>
    private Passage Pass(torch.Tensor rows, torch.Tensor? conditions)
    {
        torch.Tensor? condition = model.Conditions.Scaled(conditions);
        torch.Tensor standardized = model.Standardize(rows);
        torch.Tensor hidden = model.Hidden(standardized, condition);
        (torch.Tensor mean, torch.Tensor logVariance) = model.Network.Code(hidden);
        torch.Tensor decoded = model.Decode(mean, condition);
        torch.Tensor differences = hidden.sub(model.Hidden(model.Seen(decoded), condition));
        return new Passage(standardized, mean, logVariance, decoded, differences);
    }

    private readonly record struct Passage(
        torch.Tensor Standardized, torch.Tensor Mean, torch.Tensor LogVariance, torch.Tensor Decoded,
        torch.Tensor Differences);
}
