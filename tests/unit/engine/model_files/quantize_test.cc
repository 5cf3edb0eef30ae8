#include "engine/model_files/quantize.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstring>

#include "engine/model_files/gguf.h"
#include "engine/model_files/gguf_writer.h"
#include "engine/tensor/quantize.h"
#include "support/temp_dir.h"

namespace {

using base::Code;
using engine::GgufFile;
using engine::TensorType;

const std::string kStories = std::string(DG_SOURCE_DIR) + "/assets/stories260K-f16.gguf";

std::vector<float> values_of(const engine::TensorView& tensor) {
    std::vector<float> values(tensor.elements());
    for (std::uint64_t row = 0; row < tensor.rows(); ++row) {
        engine::dequantize_row(tensor.type,
                               tensor.data + row * engine::row_bytes(tensor.type, tensor.dims[0]),
                               tensor.dims[0], values.data() + row * tensor.dims[0]);
    }
    return values;
}

double relative_error(const std::vector<float>& a, const std::vector<float>& b) {
    double error = 0, total = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        error += std::pow(static_cast<double>(a[i]) - b[i], 2);
        total += std::pow(static_cast<double>(a[i]), 2);
    }
    return std::sqrt(error / total);
}

engine::FileType type_named(const char* name) {
    return engine::file_type_from_name(name).value();
}

TEST(QuantizeModel, KeepsARealModelCloseInEveryType) {
    const auto original = GgufFile::open(kStories);
    ASSERT_TRUE(original.has_value());
    for (const char* name : {"F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q2_K",
                             "Q3_K_M", "Q4_K_M", "Q5_K_S", "Q6_K"}) {
        SCOPED_TRACE(name);
        const test::TempDir dir;
        const std::string path = dir.file("out.gguf");
        const auto report = engine::quantize_model(kStories, path, type_named(name));
        ASSERT_TRUE(report.has_value()) << report.error().message;
        const auto file = GgufFile::open(path);
        ASSERT_TRUE(file.has_value()) << file.error().message;
        ASSERT_EQ(file->tensors().size(), original->tensors().size());
        for (const engine::TensorView& tensor : original->tensors()) {
            const auto quantized = file->tensor(tensor.name);
            ASSERT_TRUE(quantized.has_value());
            ASSERT_EQ(quantized->dims, tensor.dims);
            const double error = relative_error(values_of(tensor), values_of(*quantized));
            EXPECT_LT(error, 0.11) << tensor.name;
            if (tensor.rows() == 1) {
                EXPECT_EQ(error, 0.0) << tensor.name;
            }
        }
        EXPECT_EQ(file->get_strings("tokenizer.ggml.tokens").value(),
                  original->get_strings("tokenizer.ggml.tokens").value());
        EXPECT_TRUE(engine::load_vocabulary(*file).has_value());
    }
}

TEST(QuantizeModel, SweepsWhatAKilledRunLeft) {
    const test::TempDir dir;
    const std::string path = dir.file("out.gguf");
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        static_cast<void>(
            engine::quantize_model(kStories, path, type_named("Q8_0"), [](const auto&...) -> bool {
                ::raise(SIGKILL);
                return true;
            }));
        ::_exit(3);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    ASSERT_EQ(dir.entries(), 1u) << "no half was left to sweep";
    ASSERT_TRUE(engine::quantize_model(kStories, dir.file("other.gguf"), type_named("Q8_0")));
    EXPECT_EQ(dir.entries(), 1u);
}

TEST(QuantizeModel, FallsBackWhereRowsDoNotDivide) {
    // ffn_down of this model is 172 wide and every other matrix 64: no K block fits anywhere.
    const test::TempDir dir;
    const auto report =
        engine::quantize_model(kStories, dir.file("out.gguf"), type_named("Q4_K_S"));
    ASSERT_TRUE(report.has_value()) << report.error().message;
    const auto file = GgufFile::open(dir.file("out.gguf"));
    ASSERT_TRUE(file.has_value());
    EXPECT_EQ(file->tensor("blk.0.ffn_down.weight")->type, TensorType::f16);
    EXPECT_EQ(file->tensor("blk.0.attn_q.weight")->type, TensorType::q5_0);
    EXPECT_EQ(file->tensor("blk.0.attn_norm.weight")->type, TensorType::f32);
    EXPECT_EQ(file->tensor("token_embd.weight")->type, TensorType::q8_0);  // tied: wanted Q6_K
    const auto named = [&](const char* tensor) {
        return std::ranges::count(report->fallbacks, tensor, &engine::TypeFallback::tensor);
    };
    EXPECT_EQ(named("blk.0.ffn_down.weight"), 1);
    EXPECT_EQ(named("blk.0.attn_norm.weight"), 0);
}

TEST(QuantizeModel, GivesTheSameBytesForAnyThreadCount) {
    const test::TempDir dir;
    for (const std::uint32_t threads : {1u, 3u}) {
        ASSERT_TRUE(engine::quantize_model(kStories, dir.file(std::to_string(threads)),
                                           type_named("Q4_0"), {}, threads)
                        .has_value());
    }
    EXPECT_EQ(test::read_text(dir.file("1")), test::read_text(dir.file("3")));
}

TEST(QuantizeModel, ReportsProgressAndStops) {
    const test::TempDir dir;
    std::uint64_t last = 0;
    bool whole = false;
    const auto watch = [&](const engine::ModelFileProgress& at) {
        EXPECT_GE(at.bytes_done, last);
        last = at.bytes_done;
        whole = at.tensors_done == at.tensors_total && at.bytes_done == at.bytes_total;
        return true;
    };
    ASSERT_TRUE(
        engine::quantize_model(kStories, dir.file("a"), type_named("Q8_0"), watch).has_value());
    EXPECT_TRUE(whole);
    const auto stop = [](const engine::ModelFileProgress& at) { return at.tensors_done < 3; };
    const auto stopped = engine::quantize_model(kStories, dir.file("b"), type_named("Q8_0"), stop);
    ASSERT_FALSE(stopped.has_value());
    EXPECT_EQ(stopped.error().code, Code::cancelled);
    EXPECT_EQ(dir.entries(), 1u);
}

TEST(QuantizeModel, NamesTheTensorWithANan) {
    const test::TempDir dir;
    auto writer = engine::GgufWriter::create(dir.file("in.gguf"));
    writer->set_string("general.architecture", "llama");
    writer->add_tensor("blk.0.attn_q.weight", TensorType::f32, {32, 2, 1, 1});
    std::vector<float> values(64, 1.f);
    values[40] = std::nanf("");
    ASSERT_TRUE(writer->begin().has_value());
    ASSERT_TRUE(writer->write_tensor_data(std::as_bytes(std::span(values))).has_value());
    ASSERT_TRUE(writer->commit().has_value());
    const auto report =
        engine::quantize_model(dir.file("in.gguf"), dir.file("out.gguf"), type_named("Q8_0"));
    ASSERT_FALSE(report.has_value());
    EXPECT_EQ(report.error().code, Code::data_loss);
    EXPECT_NE(report.error().message.find("blk.0.attn_q.weight"), std::string::npos);
    EXPECT_NE(report.error().message.find("row 1"), std::string::npos);
    EXPECT_EQ(dir.entries(), 1u);
}

TEST(QuantizeModel, RefusesToReplaceItsInput) {
    const test::TempDir dir;
    test::write_text(dir.file("in.gguf"), test::read_text(kStories));
    const auto report =
        engine::quantize_model(dir.file("in.gguf"), dir.file("in.gguf"), type_named("Q8_0"));
    ASSERT_FALSE(report.has_value());
    EXPECT_EQ(report.error().code, Code::invalid_argument);
}

TEST(FileType, NamesTravelBothWays) {
    EXPECT_EQ(engine::file_type_name(type_named("q4_k_m")), "Q4_K_M");
    EXPECT_EQ(engine::file_type_name(type_named("Q4_K")), "Q4_K_M");
    EXPECT_EQ(engine::file_type_name(type_named("Q4_K_S")), "Q4_K_S");
    EXPECT_FALSE(engine::file_type_from_name("Q9").has_value());
    EXPECT_NE(engine::file_type_names().find("Q5_K_M, Q6_K"), std::string::npos);
}

}  // namespace
