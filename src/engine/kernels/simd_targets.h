// Included before any Highway header in a foreach_target file: which instruction sets we compile.
// AVX3_DL (AVX-512 with VNNI), AVX2, SSE4, NEON, and plain scalar code for anything else. SSE4 and
// NEON run the same 128-bit code, so tests on one speak for both. The ones left out would add build
// time and serve machines that the next one down serves almost as well; the scalable ones (SVE,
// RVV) have no compile-time vector length, which the register tiles need.
#ifndef DG_ENGINE_KERNELS_SIMD_TARGETS_H_
#define DG_ENGINE_KERNELS_SIMD_TARGETS_H_

#define HWY_WANT_AVX3_DL
#define DG_UNWANTED_TARGETS \
    (HWY_SSSE3 | HWY_AVX3 | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#ifdef __SANITIZE_ADDRESS__
// Instrumented, the inlined register tiles become functions of thousands of branches that take
// minutes to compile. Here one vector target, small tiles and real calls are enough: all targets
// and tiles read and write the same addresses through the same templates.
#define HWY_DISABLED_TARGETS (DG_UNWANTED_TARGETS | HWY_AVX3_DL | HWY_SSE4)
#define DG_TILE_INLINE inline HWY_NOINLINE
#define DG_SMALL_TILES 1
#else
#define HWY_DISABLED_TARGETS DG_UNWANTED_TARGETS
#define DG_TILE_INLINE HWY_INLINE
#define DG_SMALL_TILES 0
#endif

#endif  // DG_ENGINE_KERNELS_SIMD_TARGETS_H_
