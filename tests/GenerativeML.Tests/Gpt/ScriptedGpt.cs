namespace GenerativeML.Tests;

/// <summary>
/// A GPT whose likeliest token at each position is given: it looks the position up in its perceptron.
/// </summary>
internal static class ScriptedGpt
{
    /// <param name="vocabulary">Tokens.</param>
    /// <param name="script">What it says after the token at position 0, at position 1 and so on.</param>
    public static TrainedGpt Model(int vocabulary, IReadOnlyList<int> script)
    {
        int width = vocabulary + script.Count;
        GptNetwork network = RandomGpt.Network(
            vocabulary, script.Count, layers: 1, heads: 1, width, biases: false, GeluForm.Erf);
        var weights = new HostWeights(network.Tensors);
        // A feature for each token, then one for each position.
        for (int token = 0; token < vocabulary; token++)
            weights["wte.weight"][token * width + token] = 1;
        for (int position = 0; position < script.Count; position++)
        {
            int feature = vocabulary + position;
            weights["wpe.weight"][position * width + feature] = 1;
            weights["h.0.mlp.c_fc.weight"][position * width + feature] = 50;
            weights["h.0.mlp.c_proj.weight"][script[position] * 4 * width + position] = 1;
        }
        foreach (string gain in (string[])["h.0.ln_1.weight", "h.0.ln_2.weight", "ln_f.weight"])
            weights[gain].AsSpan().Fill(1);
        return new TrainedGpt(network, weights, threads: 1);
    }
}
