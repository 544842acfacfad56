using static TorchSharp.Dispatch.Operators;

namespace TorchSharp;

public static partial class torch
{
    public enum RoundingMode
    {
        None,
    }

    public partial class Tensor
    {
        public static Tensor operator -(Tensor left, Tensor right) => left.sub(right);
        public static Tensor operator -(Tensor left, Scalar right) => Call("sub.Scalar", left, right);
        public static Tensor operator -(Scalar left, Tensor right) => Call("rsub.Scalar", right, left);
        public static Tensor operator *(Tensor left, Tensor right) => left.mul(right);
        public static Tensor operator *(Tensor left, Scalar right) => left.mul(right);
        public static Tensor operator /(Scalar left, Tensor right) => right.reciprocal().mul(left);

        // Element by element: whoever compares a tensor with null this way is told so here too.
        public static Tensor operator ==(Tensor left, Tensor right) => Call("eq.Tensor", left, right);
        public static Tensor operator !=(Tensor left, Tensor right) => Call("ne.Tensor", left, right);

        public Tensor add(Tensor target) => Call("add.Tensor", this, target);
        public Tensor add(Scalar scalar) => Call("add.Scalar", this, scalar);
        public Tensor add_(Tensor target) => Mutate("add_.Tensor", this, target);
        public Tensor add_(Tensor target, Scalar alpha) => Mutate("add_.Tensor", this, target, alpha);
        public Tensor add_(Scalar scalar) => Mutate("add_.Scalar", this, scalar);
        public Tensor sub(Tensor target) => Call("sub.Tensor", this, target);
        public Tensor sub_(Tensor target) => Mutate("sub_.Tensor", this, target);
        public Tensor mul(Tensor target) => Call("mul.Tensor", this, target);
        public Tensor mul(Scalar target) => Call("mul.Scalar", this, target);
        public Tensor mul_(Tensor target) => Mutate("mul_.Tensor", this, target);
        public Tensor mul_(Scalar target) => Mutate("mul_.Scalar", this, target);
        public Tensor div(Tensor target, RoundingMode rounding_mode = RoundingMode.None) => Call("div.Tensor", this, target);
        public Tensor floor_divide(Scalar other) => Call("floor_divide.Scalar", this, other);
        public Tensor addcmul_(Tensor tensor1, Tensor tensor2, Scalar value) => Mutate("addcmul_", this, tensor1, tensor2, value);
        public Tensor addcdiv_(Tensor tensor1, Tensor tensor2, Scalar value) => Mutate("addcdiv_", this, tensor1, tensor2, value);

        public Tensor lt(Scalar target) => Call("lt.Scalar", this, target);
        public Tensor gt(Scalar target) => Call("gt.Scalar", this, target);

        public Tensor clamp(Scalar? min = null, Scalar? max = null) => Call("clamp", this, min, max);
        public Tensor clamp_(Scalar? min = null, Scalar? max = null) => Mutate("clamp_", this, min, max);
        public Tensor clamp_min(Scalar min) => Call("clamp_min", this, min);
        public Tensor clamp_min_(Scalar min) => Mutate("clamp_min_", this, min);
        public Tensor clamp_max_(Scalar max) => Mutate("clamp_max_", this, max);
        public Tensor pow(Scalar exponent) => Call("pow.Tensor_Scalar", this, exponent);
        public Tensor abs() => Call("abs", this);
        public Tensor square() => Call("square", this);
        public Tensor sqrt() => Call("sqrt", this);
        public Tensor rsqrt() => Call("rsqrt", this);
        public Tensor reciprocal() => Call("reciprocal", this);
        public Tensor reciprocal_() => Mutate("reciprocal_", this);
        public Tensor exp() => Call("exp", this);
        public Tensor exp_() => Mutate("exp_", this);
        public Tensor expm1() => Call("expm1", this);
        public Tensor log() => Call("log", this);
        public Tensor log1p() => Call("log1p", this);
        public Tensor sign() => Call("sign", this);

        public Tensor sigmoid() => Call("sigmoid", this);
        public Tensor softmax(long dim, ScalarType? dtype = null) => Call("softmax.int", this, dim, dtype);
        public Tensor log_softmax(long dim, ScalarType? dtype = null) => Call("log_softmax.int", this, dim, dtype);
        public Tensor relu() => Call("relu", this);
        public Tensor cumsum(long dim, ScalarType? type = null) => Call("cumsum", this, dim, type);

        public Tensor matmul(Tensor target) => Call("matmul", this, target);
        public Tensor bmm(Tensor batch2) => Call("bmm", this, batch2);
    }
}
