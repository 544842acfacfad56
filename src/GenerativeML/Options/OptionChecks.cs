using System.Numerics;
using System.Runtime.CompilerServices;

namespace GenerativeML;

/// <summary>The range checks of options: each error names the option, the range and the value.</summary>
internal static class OptionChecks
{
    public static void AtLeast<T>(T value, T least, [CallerArgumentExpression(nameof(value))] string option = "")
        where T : INumber<T>
    {
        if (!(value >= least))
            throw Out(option, value, $"at least {least}");
    }

    /// <summary>Both ends belong to the range.</summary>
    public static void Within<T>(
        T value, T least, T most, [CallerArgumentExpression(nameof(value))] string option = "")
        where T : INumber<T>
    {
        if (!(value >= least && value <= most))
            throw Out(option, value, $"between {least} and {most}");
    }

    /// <summary>The lower end belongs to the range, the upper does not.</summary>
    public static void WithinHalfOpen<T>(
        T value, T least, T below, [CallerArgumentExpression(nameof(value))] string option = "")
        where T : INumber<T>
    {
        if (!(value >= least && value < below))
            throw Out(option, value, $"at least {least} and below {below}");
    }

    public static void PositiveFinite(double value, [CallerArgumentExpression(nameof(value))] string option = "")
    {
        if (!(value > 0 && double.IsFinite(value)))
            throw Out(option, value, $"positive and finite");
    }

    public static void NonNegativeFinite(double value, [CallerArgumentExpression(nameof(value))] string option = "")
    {
        if (!(value >= 0 && double.IsFinite(value)))
            throw Out(option, value, $"zero or positive, and finite");
    }

    public static void Defined<T>(T value, [CallerArgumentExpression(nameof(value))] string option = "")
        where T : struct, Enum
    {
        if (!Enum.IsDefined(value))
            throw Out(option, value, $"one of {string.Join(", ", Enum.GetNames<T>())}");
    }

    // The range is formattable for the same reason as the rest: 0.5 is written so in every culture.
    private static ArgumentOutOfRangeException Out(string option, object value, FormattableString range) => new(
        option,
        value,
        FormattableString.Invariant($"Option {option} must be {FormattableString.Invariant(range)}, but is {value}."));
}
