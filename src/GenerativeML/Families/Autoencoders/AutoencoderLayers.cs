namespace GenerativeML;

/// <summary>An autoencoder's networks, laid out for computing clean rows in managed memory.</summary>
internal sealed class AutoencoderLayers(AutoencoderShape shape, HostWeights weights)
{
    /// <summary>A network's reconstruction of standardised rows.</summary>
    public DenseStack Reconstruction(int member) => new([.. Encoder(member), .. Decoder(member)]);

    /// <summary>A network's code of standardised rows.</summary>
    public DenseStack Code(int member) => new(Encoder(member));

    private (AffineLayer Layer, Activation Activation)[] Encoder(int member)
    {
        (AffineLayer Layer, Activation Activation)[] layers = Layers("encoder", member);
        // What follows the row in a clean input never changes: no slot is hidden, and the level is the one of scoring.
        float[] constant = new float[shape.NetworkInputs - shape.InputWidth];
        if (shape.Noise.HasLevels)
            constant[^1] = (float)Math.Log(shape.Noise.Scoring);
        layers[0].Layer = layers[0].Layer.Fix(constant);
        return layers;
    }

    private (AffineLayer Layer, Activation Activation)[] Decoder(int member) => Layers("decoder", member);

    private (AffineLayer, Activation)[] Layers(string stack, int member)
    {
        var layers = new (AffineLayer, Activation)[shape.HiddenLayers.Count + 1];
        for (int i = 0; i < layers.Length; i++)
        {
            bool isLast = i == layers.Length - 1;
            var layer = new AffineLayer(
                Member($"{stack}.{i}.weight", member), Member($"{stack}.{i}.bias", member));
            if (!isLast && shape.BatchNormalization)
                layer = Normalized(layer, $"{stack}_norm.{i}", member);
            layers[i] = (layer, isLast ? Activation.Identity : shape.Activation);
        }
        return layers;
    }

    /// <summary>As <see cref="EnsembleBatchNorm"/> has it in evaluation.</summary>
    private AffineLayer Normalized(AffineLayer layer, string norm, int member)
    {
        float[] gain = Member($"{norm}.weight", member), bias = Member($"{norm}.bias", member);
        float[] mean = Member($"{norm}.running_mean", member), variance = Member($"{norm}.running_var", member);
        double[] scale = new double[gain.Length], shift = new double[gain.Length];
        for (int i = 0; i < scale.Length; i++)
        {
            scale[i] = gain[i] / Math.Sqrt(variance[i] + EnsembleBatchNorm.Epsilon);
            shift[i] = bias[i] - mean[i] * scale[i];
        }
        return layer.Rescale(scale, shift);
    }

    private float[] Member(string name, int member)
    {
        float[] all = weights[$"network.{name}"];
        int length = all.Length / shape.Members;
        return all[(member * length)..((member + 1) * length)];
    }
}
