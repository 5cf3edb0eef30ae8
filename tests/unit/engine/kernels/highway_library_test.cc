// What we answer in place of Highway's library, against what the system says of the processor.

#include <gtest/gtest.h>
#include <hwy/aligned_allocator.h>
#include <hwy/targets.h>

#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>

namespace {

#if HWY_ARCH_X86
/// " sse avx ... ", as the kernel lists them.
std::string processor_flags() {
    std::ifstream in("/proc/cpuinfo");
    for (std::string line; std::getline(in, line);) {
        if (line.starts_with("flags")) return line + " ";
    }
    return {};
}

bool has_all(const std::string& flags, const std::string& wanted) {
    std::istringstream words(wanted);
    for (std::string word; words >> word;) {
        if (flags.find(" " + word + " ") == std::string::npos) return false;
    }
    return true;
}

TEST(HighwayLibrary, FindsWhatTheProcessorHas) {
    const std::string flags = processor_flags();
    if (flags.empty()) GTEST_SKIP() << "/proc/cpuinfo lists no flags";
    const bool sse4 = has_all(flags, "ssse3 sse4_1 sse4_2 aes pclmulqdq");
    const bool avx2 = sse4 && has_all(flags, "avx2 fma f16c bmi1 bmi2 abm");
    const bool avx3 = avx2 && has_all(flags, "avx512f avx512vl avx512dq avx512bw avx512cd");
    const bool dl = avx3 && has_all(flags,
                                    "avx512_vnni vpclmulqdq avx512vbmi avx512_vbmi2 vaes "
                                    "avx512_vpopcntdq avx512_bitalg");
    const std::int64_t found = hwy::SupportedTargets();
    EXPECT_EQ((found & HWY_SSE4) != 0, sse4);
    EXPECT_EQ((found & HWY_AVX2) != 0, avx2);
    EXPECT_EQ((found & HWY_AVX3) != 0, avx3);
    EXPECT_EQ((found & HWY_AVX3_DL) != 0, dl);
}
#endif

TEST(HighwayLibrary, TestsChooseAmongTargetsAndThereIsAlwaysOne) {
    const std::int64_t all = hwy::SupportedTargets();
    hwy::SetSupportedTargetsForTest(HWY_SCALAR);
    EXPECT_EQ(hwy::SupportedTargets(), HWY_SCALAR);
    hwy::SetSupportedTargetsForTest(0);
    EXPECT_EQ(hwy::SupportedTargets(), all);
    hwy::DisableTargets(all);
    EXPECT_EQ(hwy::SupportedTargets(), HWY_STATIC_TARGET);
    hwy::DisableTargets(0);
    EXPECT_EQ(hwy::SupportedTargets(), all);
}

TEST(HighwayLibrary, MemoryIsAligned) {
    for (const std::size_t bytes : {1u, 63u, 64u, 65u, 100'000u}) {
        const auto memory = hwy::AllocateAligned<std::byte>(bytes);
        ASSERT_NE(memory.get(), nullptr);
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory.get()) % HWY_ALIGNMENT, 0u);
        memory[bytes - 1] = std::byte{1};
    }
}

}  // namespace
