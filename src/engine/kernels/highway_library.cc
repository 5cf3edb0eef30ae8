// What Highway's headers expect of its library: which instruction sets this machine has, and memory
// aligned for them. The shared library answers the same and measures the machine's timer for 6 ms
// whenever it is loaded, which is a tenth of a warm start; so only the headers are used.

#include <hwy/aligned_allocator.h>
#include <hwy/targets.h>

#include <atomic>
#include <cstdlib>

namespace hwy {
namespace {

/// Highway's own states are global too: a choice made once per process, and the tests' way to
/// have another.
std::atomic<std::int64_t> disabled_targets{0};
std::atomic<std::int64_t> targets_for_test{0};

std::int64_t detect() {
    std::int64_t found = HWY_SCALAR | HWY_EMU128 | HWY_STATIC_TARGET;
#if HWY_ARCH_X86
    // Each level needs the one before; the system's own support of wide registers is among what
    // the compiler's function checks.
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("ssse3")) return found;
    found |= HWY_SSSE3;
    if (!__builtin_cpu_supports("sse4.1") || !__builtin_cpu_supports("sse4.2") ||
        !__builtin_cpu_supports("aes") || !__builtin_cpu_supports("pclmul")) {
        return found;
    }
    found |= HWY_SSE4;
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") ||
        !__builtin_cpu_supports("f16c") || !__builtin_cpu_supports("bmi") ||
        !__builtin_cpu_supports("bmi2") || !__builtin_cpu_supports("lzcnt")) {
        return found;
    }
    found |= HWY_AVX2;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512vl") ||
        !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512cd")) {
        return found;
    }
    found |= HWY_AVX3;
    if (!__builtin_cpu_supports("avx512vnni") || !__builtin_cpu_supports("vpclmulqdq") ||
        !__builtin_cpu_supports("avx512vbmi") || !__builtin_cpu_supports("avx512vbmi2") ||
        !__builtin_cpu_supports("vaes") || !__builtin_cpu_supports("avx512vpopcntdq") ||
        !__builtin_cpu_supports("avx512bitalg")) {
        return found;
    }
    found |= HWY_AVX3_DL;
#endif
    return found;  // elsewhere what the compiler may assume is all that we build
}

}  // namespace

std::int64_t SupportedTargets() {
    static const std::int64_t detected = detect();
    const std::int64_t wanted = targets_for_test.load(std::memory_order_relaxed);
    const std::int64_t targets = (wanted != 0 ? wanted : detected) & ~disabled_targets.load();
    return targets != 0 ? targets : HWY_STATIC_TARGET;
}

void DisableTargets(std::int64_t targets) {
    disabled_targets = targets;
    GetChosenTarget().DeInit();
}

void SetSupportedTargetsForTest(std::int64_t targets) {
    targets_for_test = targets;
    GetChosenTarget().DeInit();
}

ChosenTarget& GetChosenTarget() {
    static ChosenTarget chosen;
    return chosen;
}

void* AllocateAlignedBytes(std::size_t bytes, AllocPtr allocate, void* opaque) {
    // Nobody here brings an allocator of his own; whoever does must bring the library too.
    if (allocate != nullptr || opaque != nullptr) return nullptr;
    const std::size_t rounded = (bytes + HWY_ALIGNMENT - 1) / HWY_ALIGNMENT * HWY_ALIGNMENT;
    return std::aligned_alloc(HWY_ALIGNMENT, rounded);
}

void FreeAlignedBytes(const void* memory, FreePtr, void*) {
    std::free(const_cast<void*>(memory));
}

}  // namespace hwy
