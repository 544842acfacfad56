namespace GenerativeML;

/// <summary>How the learning rate moves from its peak over the steps of a training run.</summary>
public enum LearningRateSchedule
{
    /// <summary>It stays at its peak.</summary>
    Constant,

    /// <summary>It falls in a straight line to a hundredth of its peak.</summary>
    Linear,

    /// <summary>It falls along half a cosine to a hundredth of its peak (Loshchilov and Hutter 2017).</summary>
    Cosine,
}
