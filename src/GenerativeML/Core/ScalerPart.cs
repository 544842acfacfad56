namespace GenerativeML;

/// <summary><see cref="VectorScaler"/> as a part of a pass.</summary>
internal readonly record struct ScalerPart<T>(T Mean, T Scale, T Limit, T No)
    where T : struct, ITensor<T>
{
    public static ScalerPart<T> OfFeatures(Scope<T> w)
    {
        (string mean, string scale, string limit) = VectorNetwork.FeatureScalerNames;
        return new(w[mean], w[scale], w[limit], w.Constant(0));
    }

    public static ScalerPart<T> OfConditions(Scope<T> w)
    {
        (string mean, string scale) = VectorNetwork.ConditionScalerNames;
        return new(w[mean], w[scale], w.Constant(VectorScaler.Linear), w.Constant(0));
    }

    public T Apply(T rows)
    {
        // A constant feature's difference is multiplied by zero: it has to be finite.
        T z = (rows - Mean).Clamp(float.MinValue, float.MaxValue) * Scale;
        T size = z.Apply(Function.Abs).Clamp(0, VectorScaler.Largest);
        T beyond = T.Max(size - Limit, No);
        return Signed(z, size - beyond + (beyond + 1).Apply(Function.Log));
    }

    public T Undo(T z)
    {
        T size = z.Apply(Function.Abs), beyond = T.Max(size - Limit, No);
        T far = beyond.Clamp(0, VectorScaler.LargestBeyond).Apply(Function.Exp) - 1;
        return T.IfLess(No, Scale, Signed(z, size - beyond + far) / Scale, No) + Mean;
    }

    public T LogDerivative(T z)
    {
        T beyond = (z.Apply(Function.Abs) - Limit).Clamp(0, VectorScaler.LargestBeyond);
        return T.IfLess(No, Scale, Scale.Apply(Function.Log) - beyond, No);
    }

    private T Signed(T sign, T size) => T.IfLess(sign, No, -size, size);
}
