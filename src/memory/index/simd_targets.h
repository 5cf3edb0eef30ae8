// Included before any Highway header in a foreach_target file: AVX-512 with VNNI, AVX2, SSE4, NEON
// and plain scalar code; what lies between serves machines that the next one down serves almost as
// well.
#ifndef DG_MEMORY_INDEX_SIMD_TARGETS_H_
#define DG_MEMORY_INDEX_SIMD_TARGETS_H_

#define HWY_WANT_AVX3_DL
#define HWY_DISABLED_TARGETS \
    (HWY_SSSE3 | HWY_AVX3 | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)

#endif  // DG_MEMORY_INDEX_SIMD_TARGETS_H_
