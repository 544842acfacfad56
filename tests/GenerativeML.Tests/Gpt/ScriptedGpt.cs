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
        var shape = new GptShape
        {
            VocabularySize = vocabulary,
            ContextLength = script.Count,
            Layers = 1,
            Heads = 1,
            Width = vocabulary + script.Count,
            Biases = false,
            Gelu = GeluForm.Erf,
        };
        var weights = new GptWeights(shape);
        // A slot for each token, then one for each position.
        for (int token = 0; token < vocabulary; token++)
            weights["wte.weight"][token * shape.Width + token] = 1;
        for (int position = 0; position < script.Count; position++)
        {
            int slot = vocabulary + position;
            weights["wpe.weight"][position * shape.Width + slot] = 1;
            weights["h.0.mlp.c_fc.weight"][position * shape.Width + slot] = 50;
            weights["h.0.mlp.c_proj.weight"][script[position] * shape.HiddenWidth + position] = 1;
        }
        foreach (string gain in (string[])["h.0.ln_1.weight", "h.0.ln_2.weight", "ln_f.weight"])
            weights[gain].AsSpan().Fill(1);
        return new TrainedGpt(weights) { Threads = 1 };
    }
}
