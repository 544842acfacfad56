namespace GenerativeML;

/// <summary>The learning rate of each step: a linear rise to the peak, then the schedule's fall.</summary>
/// <param name="Peak">The highest rate.</param>
/// <param name="Schedule">How it falls.</param>
/// <param name="Steps">Steps of the whole run.</param>
/// <param name="WarmupSteps">Steps of the rise.</param>
/// <param name="Floor">The end of the fall, in shares of the peak.</param>
internal sealed record LearningRate(
    double Peak, LearningRateSchedule Schedule, long Steps, long WarmupSteps, double Floor = LearningRate.DefaultFloor)
{
    /// <summary>A hundredth.</summary>
    public const double DefaultFloor = 0.01;

    /// <summary>The rate of step <paramref name="step"/>, counted from zero.</summary>
    public double At(long step)
    {
        if (step < WarmupSteps)
            return Peak * (step + 1) / (WarmupSteps + 1);
        if (Schedule == LearningRateSchedule.Constant)
            return Peak;
        double done = (step - WarmupSteps) / (double)Math.Max(1, Steps - 1 - WarmupSteps);
        double left = Schedule == LearningRateSchedule.Linear
            ? 1 - done
            : 0.5 * (1 + Math.Cos(Math.PI * Math.Clamp(done, 0, 1)));
        return Peak * (Floor + (1 - Floor) * Math.Max(0, left));
    }
}
