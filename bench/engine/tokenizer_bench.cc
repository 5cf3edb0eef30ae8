// Encoding speed over one megabyte of English. Run from the repository root; DG_BENCH_MODEL names
// another model file, and DG_BENCH_TEXT a text to encode instead of the paragraph below.

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "engine/model_files/gguf.h"
#include "engine/tokenizer/tokenizer.h"

namespace {

constexpr std::size_t kTextBytes = 1u << 20;

constexpr std::string_view kParagraph =
    "A bracket set carries the roof because no single piece of it has to: each arm rests on the "
    "one "
    "below, passes the load outward, and locks its neighbours in place. In 1056 a pagoda of timber "
    "was raised that way, 67 metres high; it's still standing after forty earthquakes and a war. "
    "Nobody who built it could have said which joint mattered most. \"Take one away,\" a carpenter "
    "wrote, \"and you'll learn what it held.\"\n\n"
    "    for (joint in roof) { check(joint.load <= joint.limit); }\n\n";

std::string english() {
    std::string text;
    if (const char* path = std::getenv("DG_BENCH_TEXT")) {
        std::ifstream file(path, std::ios::binary);
        text.assign(std::istreambuf_iterator<char>(file), {});
    }
    while (text.size() < kTextBytes)
        text.append(text.empty() ? kParagraph : std::string_view(text));
    text.resize(kTextBytes);
    return text;
}

void encode_text(benchmark::State& state) {
    const char* chosen = std::getenv("DG_BENCH_MODEL");
    const auto file =
        engine::GgufFile::open(chosen != nullptr ? chosen : "assets/stories260K-f16.gguf");
    if (!file) return state.SkipWithError(file.error().message.c_str());
    auto vocabulary = engine::load_vocabulary(*file);
    if (!vocabulary) return state.SkipWithError(vocabulary.error().message.c_str());
    const auto tokenizer = engine::Tokenizer::create(*std::move(vocabulary));
    if (!tokenizer) return state.SkipWithError(tokenizer.error().message.c_str());
    const std::string text = english();
    for (auto _ : state) {
        benchmark::DoNotOptimize((*tokenizer)->encode(text));
    }
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}
BENCHMARK(encode_text)->Unit(benchmark::kMillisecond);

}  // namespace
