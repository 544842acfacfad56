using TorchSharp.Dispatch;

namespace TorchSharp;

public static partial class torch
{
    public static bool is_grad_enabled() => Library.torch_grad_mode(-1) != 0;

    public static bool is_inference_mode_enabled() => Library.torch_inference_mode_enabled() != 0;

    public static IDisposable no_grad() => new GradMode(false);

    public static IDisposable set_grad_enabled(bool mode = true) => new GradMode(mode);

    public static IDisposable inference_mode(bool mode = true) => new InferenceMode(mode);

    private sealed class GradMode(bool enabled) : IDisposable
    {
        private readonly int _before = Library.torch_grad_mode(enabled ? 1 : 0);

        public void Dispose() => Library.torch_grad_mode(_before);
    }

    private sealed class InferenceMode(bool enabled) : IDisposable
    {
        private nint _guard = Library.torch_inference_mode_enter(enabled ? 1 : 0);

        public void Dispose()
        {
            if (_guard != 0)
                Library.torch_inference_mode_leave(_guard);
            _guard = 0;
        }
    }
}
