// The unpackers of all quantised types, and which is whose.
#if defined(DG_ENGINE_KERNELS_PANEL_FORMATS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DG_ENGINE_KERNELS_PANEL_FORMATS_INL_H_
#undef DG_ENGINE_KERNELS_PANEL_FORMATS_INL_H_
#else
#define DG_ENGINE_KERNELS_PANEL_FORMATS_INL_H_
#endif

#include "engine/kernels/panel_formats256-inl.h"
#include "engine/kernels/panel_formats32-inl.h"
#include "engine/tensor/tensor_type.h"

#if HWY_TARGET != HWY_SCALAR
HWY_BEFORE_NAMESPACE();
namespace engine::HWY_NAMESPACE {

/// visit<Format, type>() of the type's unpacker; null for floats, which need none.
template <class Visit>
auto WithPanelFormat(TensorType type, const Visit& visit)
    -> decltype(visit.template operator()<FormatQ4_0, TensorType::q4_0>()) {
    switch (type) {
        case TensorType::q4_0:
            return visit.template operator()<FormatQ4_0, TensorType::q4_0>();
        case TensorType::q4_1:
            return visit.template operator()<FormatQ4_1, TensorType::q4_1>();
        case TensorType::q5_0:
            return visit.template operator()<FormatQ5_0, TensorType::q5_0>();
        case TensorType::q5_1:
            return visit.template operator()<FormatQ5_1, TensorType::q5_1>();
        case TensorType::q8_0:
            return visit.template operator()<FormatQ8_0, TensorType::q8_0>();
        case TensorType::q2_k:
            return visit.template operator()<FormatQ2_K, TensorType::q2_k>();
        case TensorType::q3_k:
            return visit.template operator()<FormatQ3_K, TensorType::q3_k>();
        case TensorType::q4_k:
            return visit.template operator()<FormatQ4_K, TensorType::q4_k>();
        case TensorType::q5_k:
            return visit.template operator()<FormatQ5_K, TensorType::q5_k>();
        case TensorType::q6_k:
            return visit.template operator()<FormatQ6_K, TensorType::q6_k>();
        case TensorType::f32:
        case TensorType::f16:
        case TensorType::bf16:
            return nullptr;
    }
    return nullptr;
}

}  // namespace engine::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // HWY_TARGET != HWY_SCALAR

#endif  // toggled guard
