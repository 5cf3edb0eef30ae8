#include "engine/model_files/safetensors.h"

#include <gtest/gtest.h>

#include "support/seeds.h"
#include "unit/engine/model_files/hf_folder.h"

namespace {

using base::Code;
using engine::Safetensors;

base::Result<Safetensors> open_bytes(const std::string& bytes) {
    const test::TempDir dir;
    test::write_text(dir.file("m.safetensors"), bytes);
    return Safetensors::open(dir.file("m.safetensors"));
}

std::string with_header(std::string header, std::size_t data_bytes) {
    const std::uint64_t size = header.size();
    std::string out(sizeof(size), '\0');
    std::memcpy(out.data(), &size, sizeof(size));
    return out + header + std::string(data_bytes, '\0');
}

Code error_of(const std::string& bytes) {
    const auto file = open_bytes(bytes);
    return file ? Code::internal : file.error().code;
}

TEST(Safetensors, ReadsTensorsByName) {
    const auto file = open_bytes(
        test::safetensors_bytes({{"a", test::counted({2, 3}, 1)}, {"b", test::counted({4}, 10)}}));
    ASSERT_TRUE(file.has_value()) << file.error().message;
    ASSERT_EQ(file->tensors().size(), 2u);
    const engine::SafeTensor* a = file->find("a");
    ASSERT_NE(a, nullptr);
    EXPECT_EQ(a->shape, (std::vector<std::uint64_t>{2, 3}));
    float values[2];
    engine::read_values(*a, 4, 2, values);
    EXPECT_EQ(values[1], 6.f);
    EXPECT_EQ(file->tensor("c").error().code, Code::data_loss);
}

TEST(Safetensors, RefusesMalformedHeaders) {
    EXPECT_EQ(error_of(""), Code::data_loss);
    EXPECT_EQ(error_of(std::string(8, '\377')), Code::data_loss);
    EXPECT_EQ(error_of(with_header("{", 0)), Code::data_loss);
    EXPECT_EQ(error_of(with_header("[]", 0)), Code::data_loss);
    const auto entry = [](const std::string& fields) { return "{\"t\":{" + fields + "}}"; };
    const std::string good = "\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]";
    EXPECT_EQ(error_of(with_header(entry(good), 8)), Code::internal);   // opens
    EXPECT_EQ(error_of(with_header(entry(good), 7)), Code::data_loss);  // cut off
    EXPECT_EQ(error_of(with_header(entry(good), 9)), Code::data_loss);  // data of no tensor
    EXPECT_EQ(
        error_of(with_header(entry("\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]"), 8)),
        Code::data_loss);  // size does not match
    EXPECT_EQ(
        error_of(with_header(entry("\"dtype\":\"Q7\",\"shape\":[2],\"data_offsets\":[0,8]"), 8)),
        Code::data_loss);
    EXPECT_EQ(
        error_of(with_header(entry("\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]"), 8)),
        Code::data_loss);
    EXPECT_EQ(error_of(with_header("{\"a\":{" + good + "},\"b\":{" + good + "}}", 8)),
              Code::data_loss);  // overlap
    EXPECT_EQ(error_of(with_header(entry("\"dtype\":\"F32\",\"shape\":[4294967296,4294967296,"
                                         "4294967296],\"data_offsets\":[0,8]"),
                                   8)),
              Code::data_loss);
}

TEST(Safetensors, SurvivesRandomDamage) {
    const std::string whole =
        test::safetensors_bytes({{"a", test::counted({2, 3}, 1)}, {"b.c", test::counted({4}, 10)}});
    const test::TempDir dir;
    const std::string path = dir.file("m.safetensors");
    test::for_each_seed(200, [&](base::Rng& rng) {
        std::string bytes = whole;
        for (std::uint64_t n = 1 + rng.below(4); n > 0; --n) {
            bytes[rng.below(bytes.size())] = static_cast<char>(rng.next());
        }
        if (rng.below(4) == 0) bytes.resize(rng.below(bytes.size()));
        test::write_text(path, bytes);
        const auto file = Safetensors::open(path);
        if (!file) return;
        for (const engine::SafeTensor& tensor : file->tensors()) {
            if (tensor.type == engine::SafeType::other) continue;
            std::vector<float> values(tensor.elements());
            engine::read_values(tensor, 0, values.size(), values.data());
        }
    });
}

}  // namespace
