#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/target_name.cc"
#include "engine/kernels/simd_targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include "engine/kernels/kernels.h"

HWY_BEFORE_NAMESPACE();
namespace engine::HWY_NAMESPACE {
const char* TargetNameHere() {
    return hwy::TargetName(HWY_TARGET);
}
}  // namespace engine::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace engine {

HWY_EXPORT(TargetNameHere);

const char* kernel_target_name() {
    return HWY_DYNAMIC_DISPATCH(TargetNameHere)();
}

}  // namespace engine
#endif  // HWY_ONCE
