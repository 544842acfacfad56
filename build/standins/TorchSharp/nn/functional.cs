using static TorchSharp.Dispatch.Operators;

namespace TorchSharp;

public static partial class torch
{
    public static partial class nn
    {
        public static class functional
        {
            public static Tensor linear(Tensor input, Tensor weights, Tensor? bias = null) => Call("linear", input, weights, bias);
            public static Tensor relu(Tensor x, bool inplace = false) => inplace ? Mutate("relu_", x) : x.relu();
            public static Tensor leaky_relu(Tensor input, double negative_slope = 0.01, bool inplace = false) => inplace ? Mutate("leaky_relu_", input, negative_slope) : Call("leaky_relu", input, negative_slope);
            public static Tensor elu(Tensor x, double alpha, bool inplace = false) => inplace ? Mutate("elu_", x, alpha) : Call("elu", x, alpha);
            public static Tensor gelu(Tensor x) => Call("gelu", x);
            public static Tensor silu(Tensor x, bool inplace = false) => inplace ? Mutate("silu_", x) : Call("silu", x);
            public static Tensor tanh(Tensor x, bool inplace = false) => inplace ? Mutate("tanh_", x) : Call("tanh", x);
            public static Tensor sigmoid(Tensor x) => Call("sigmoid", x);
            public static Tensor layer_norm(Tensor input, long[] normalized_shape, Tensor? weight = null, Tensor? bias = null, double eps = 1e-5) => Call("layer_norm", input, normalized_shape, weight, bias, eps);
            // The operator of libtorch 1.13 is private, and also gives the weights.
            public static Tensor scaled_dot_product_attention(Tensor query, Tensor key, Tensor value, Tensor? attn_mask = null, double p = 0, bool is_casual = false) =>
                Has("scaled_dot_product_attention")
                    ? Call("scaled_dot_product_attention", query, key, value, attn_mask, p, is_casual)
                    : CallTwo("_scaled_dot_product_attention", query, key, value, attn_mask, p, false, is_casual).Item1;
            public static Tensor softplus(Tensor x, double beta = 1, double threshold = 20) => Call("softplus", x, beta, threshold);
        }
    }
}
