namespace GenerativeML;

/// <summary>How the matrices of a GPT's blocks lie in a file.</summary>
public enum GptWeightLayout
{
    /// <summary>(outputs, inputs), as torch.nn.Linear has them: nanoGPT, minGPT.</summary>
    Linear,

    /// <summary>(inputs, outputs), as GPT-2's released weights and Hugging Face's Conv1D have them.</summary>
    Conv1D,
}
