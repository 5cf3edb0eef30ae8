// One Config from four sources, with errors that name where a wrong value was written.
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>

#include "app/config/fields.h"
#include "app/config/load.h"
#include "app/config/print.h"
#include "base/core/rng.h"
#include "base/json/json.h"

namespace app {
namespace {

using base::Code;

class ConfigFile : public ::testing::Test {
protected:
    void SetUp() override {
        dir_ = std::filesystem::temp_directory_path() /
               ("dougong-config-" + std::to_string(base::entropy64()));
        std::filesystem::create_directories(dir_);
        environment_ = {{"XDG_CONFIG_HOME", (dir_ / "none").string()}};
    }
    void TearDown() override { std::filesystem::remove_all(dir_); }

    std::string write(const std::string& text) {
        const auto path = dir_ / "dougong.yaml";
        std::ofstream(path) << text;
        return path.string();
    }

    std::filesystem::path dir_;
    Environment environment_;
};

TEST_F(ConfigFile, FlagsGoBeforeEnvironmentBeforeFileBeforeDefault) {
    const std::string file =
        write("server:\n  port: 1111\n  host: 127.0.0.2\nengine:\n  threads: 3\n");
    environment_["DOUGONG_SERVER_PORT"] = "2222";
    environment_["DOUGONG_ENGINE_THREADS"] = "4";
    const auto loaded = load_config(file, environment_, {{"server.port", "3333", "--server.port"}});
    ASSERT_TRUE(loaded) << loaded.error().message;
    EXPECT_EQ(loaded->config.server.port, 3333u);
    EXPECT_EQ(loaded->origin("server.port"), "--server.port");
    EXPECT_EQ(loaded->config.engine.threads, 4u);
    EXPECT_EQ(loaded->origin("engine.threads"), "DOUGONG_ENGINE_THREADS");
    EXPECT_EQ(loaded->config.server.host, "127.0.0.2");
    EXPECT_EQ(loaded->origin("server.host"), file + ":3");
    EXPECT_EQ(loaded->config.engine.running_max, Config{}.engine.running_max);
    EXPECT_EQ(loaded->origin("engine.running_max"), "default");
}

TEST_F(ConfigFile, UnknownFieldNamesLineAndNearestField) {
    const auto loaded = load_config(write("server:\n  host: x\n  prot: 1\n"), environment_, {});
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code, Code::invalid_argument);
    EXPECT_TRUE(loaded.error().subject.ends_with("dougong.yaml:3"));
    EXPECT_NE(loaded.error().message.find("'port'"), std::string::npos);
}

TEST_F(ConfigFile, UnknownSectionNamesLineAndNearestSection) {
    const auto loaded = load_config(write("\nsevrer:\n  port: 1\n"), environment_, {});
    ASSERT_FALSE(loaded);
    EXPECT_TRUE(loaded.error().subject.ends_with(":2"));
    EXPECT_NE(loaded.error().message.find("'server'"), std::string::npos);
}

TEST_F(ConfigFile, RejectsWhatIsNotOneValue) {
    for (const char* text :
         {"server:\n  port: [1, 2]\n", "server:\n  port: {a: 1}\n", "server: 5\n", "- server\n",
          "server:\n  port: 1\n  port: 2\n", "server: [\n", "? [a]\n: b\n", "just words\n"}) {
        const auto loaded = load_config(write(text), environment_, {});
        ASSERT_FALSE(loaded) << text;
        EXPECT_EQ(loaded.error().code, Code::invalid_argument) << text;
    }
}

TEST_F(ConfigFile, MissingNamedFileIsAnError) {
    const auto loaded = load_config((dir_ / "nowhere.yaml").string(), environment_, {});
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code, Code::not_found);
}

TEST_F(ConfigFile, FindsTheFileOfTheUser) {
    const auto home = dir_ / "config" / "dougong";
    std::filesystem::create_directories(home);
    std::ofstream(home / "dougong.yaml") << "server:\n  port: 4444\n";
    environment_["XDG_CONFIG_HOME"] = (dir_ / "config").string();
    const auto loaded = load_config("", environment_, {});
    ASSERT_TRUE(loaded);
    EXPECT_EQ(loaded->config.server.port, 4444u);
    EXPECT_EQ(loaded->file, (home / "dougong.yaml").string());
}

TEST_F(ConfigFile, PrintedConfigReadsBackTheSame) {
    environment_["DOUGONG_MODELS_MODEL"] = "odd \"name\" with \\ and # signs";
    environment_["DOUGONG_SERVER_DRAIN_TIMEOUT_S"] = "2.5";
    environment_["DOUGONG_ENGINE_KV_BYTES_MAX"] = "3GiB";
    const auto first = load_config("", environment_, {});
    ASSERT_TRUE(first) << first.error().message;
    const auto second =
        load_config(write(config_as_yaml(*first)), {{"XDG_CONFIG_HOME", "/nowhere"}}, {});
    ASSERT_TRUE(second) << second.error().message;
    EXPECT_EQ(config_values_json(first->config), config_values_json(second->config));
    EXPECT_EQ(second->config.engine.kv_bytes_max, 3ull << 30);
}

TEST_F(ConfigFile, TemplateIsValidAndChangesNothing) {
    const auto loaded = load_config(write(config_template_yaml()), environment_, {});
    ASSERT_TRUE(loaded) << loaded.error().message;
    EXPECT_EQ(config_values_json(loaded->config), config_values_json(Config{}));
}

TEST_F(ConfigFile, WarnsOnlyOfMisspeltVariables) {
    environment_["DOUGONG_SERVER_PROT"] = "1";
    environment_["DOUGONG_SERVICE_HOST_IN_A_CLUSTER"] = "10.0.0.1";
    const auto loaded = load_config("", environment_, {});
    ASSERT_TRUE(loaded);
    ASSERT_EQ(loaded->warnings.size(), 1u);
    EXPECT_NE(loaded->warnings[0].find("DOUGONG_SERVER_PORT"), std::string::npos);
}

TEST_F(ConfigFile, RandomBytesNeverCrashTheReader) {
    const std::string good = config_template_yaml() + config_as_yaml({});
    base::Rng rng(7);
    for (int round = 0; round < 400; ++round) {
        std::string text = good;
        for (std::uint64_t edits = 1 + rng.below(8); edits > 0; --edits) {
            const std::size_t at = rng.below(text.size());
            switch (rng.below(3)) {
                case 0:
                    text[at] = static_cast<char>(rng.below(256));
                    break;
                case 1:
                    text.erase(at, 1 + rng.below(20));
                    break;
                default:
                    text.insert(at, text.substr(rng.below(text.size()), rng.below(30)));
            }
        }
        const auto settings = parse_config_yaml(text, "fuzz.yaml");
        EXPECT_TRUE(settings || settings.error().code == Code::invalid_argument);
    }
}

TEST(ConfigFields, EveryDefaultIsInsideItsRange) {
    const Config defaults;
    for (const Field& field : config_fields()) {
        Config copy;
        const auto set = set_field(copy, field, field_text(defaults, field), "default");
        EXPECT_TRUE(set) << field.path();
        EXPECT_FALSE(field.help.empty()) << field.path();
    }
}

TEST(ConfigFields, NamesFlagsAndVariablesAreUnique) {
    std::set<std::string> seen;
    for (const Field& field : config_fields()) {
        EXPECT_TRUE(seen.insert(field.path()).second) << field.path();
        EXPECT_TRUE(seen.insert(field.environment()).second) << field.environment();
        EXPECT_TRUE(field.alias.empty() || seen.insert(std::string(field.alias)).second)
            << field.alias;
    }
}

TEST(ConfigFields, EveryStructMemberIsInTheTable) {
    // A member that the table forgot could be set by nobody: each field must change the JSON.
    const std::string before = config_values_json(Config{});
    std::size_t changed = 0;
    for (const Field& field : config_fields()) {
        Config config;
        const bool is_text = std::holds_alternative<std::string*>(field.ref(config));
        const std::string value = !field.choices.empty() ? std::string(field.choices.back())
                                  : is_text              ? std::string("x")
                                  : field.is_switch()
                                      ? (field_text(config, field) == "true" ? "false" : "true")
                                      : fmt::format("{}", field.max);
        ASSERT_TRUE(set_field(config, field, value, "test")) << field.path() << " " << value;
        changed += config_values_json(config) != before;
    }
    EXPECT_EQ(changed, config_fields().size());
}

struct BadValue {
    const char* path;
    const char* text;
};
class RejectsValue : public ::testing::TestWithParam<BadValue> {};

TEST_P(RejectsValue, NamingTheField) {
    Config config;
    const Field* field = find_field(GetParam().path);
    ASSERT_NE(field, nullptr);
    const auto set = set_field(config, *field, GetParam().text, "somewhere");
    ASSERT_FALSE(set) << GetParam().text;
    EXPECT_EQ(set.error().code, Code::invalid_argument);
    EXPECT_EQ(set.error().subject, GetParam().path);
    EXPECT_TRUE(set.error().message.starts_with("somewhere"));
}
INSTANTIATE_TEST_SUITE_P(
    Config, RejectsValue,
    ::testing::Values(BadValue{"server.port", "65536"}, BadValue{"server.port", "-1"},
                      BadValue{"server.port", "80.5"}, BadValue{"server.port", "http"},
                      BadValue{"server.port", ""}, BadValue{"server.port", "80 "},
                      BadValue{"server.port", "1e400"}, BadValue{"server.port", "nan"},
                      BadValue{"server.console", "maybe"}, BadValue{"log.level", "inof"},
                      BadValue{"limits.body_bytes_max", "5 elephants"},
                      BadValue{"limits.body_bytes_max", "1"},
                      BadValue{"server.drain_timeout_s", "-0.1"},
                      BadValue{"engine.batch_tokens_max", "0"}));

TEST(ConfigFields, SizesAndTimesTakeSuffixes) {
    Config config;
    ASSERT_TRUE(set_field(config, *find_field("limits.body_bytes_max"), "2 MiB", "t"));
    EXPECT_EQ(config.limits.body_bytes_max, 2u << 20);
    ASSERT_TRUE(set_field(config, *find_field("server.drain_timeout_s"), "1500ms", "t"));
    EXPECT_DOUBLE_EQ(config.server.drain_timeout_s, 1.5);
}

TEST(ConfigChecks, UrlsNeedAScheme) {
    const Environment empty{{"XDG_CONFIG_HOME", "/nowhere"}};
    const auto loaded =
        load_config("", empty, {{"trace.otlp_endpoint", "localhost:4318", "--otlp-endpoint"}});
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().subject, "trace.otlp_endpoint");
}

TEST(ConfigPrint, SecretsAreNeverShown) {
    LoadedConfig loaded;
    loaded.config.models.hub_token = "hunter2";
    for (const std::string& text :
         {config_as_yaml(loaded), config_as_json(loaded), config_values_json(loaded.config)}) {
        EXPECT_EQ(text.find("hunter2"), std::string::npos);
        EXPECT_NE(text.find("***"), std::string::npos);
    }
}

TEST(ConfigPrint, SchemaHasOneEntryPerField) {
    const auto schema = base::parse_json(config_schema_json());
    ASSERT_TRUE(schema);
    EXPECT_EQ(schema->get_array().size(), config_fields().size());
}

TEST_F(ConfigFile, ADatabaseIsAUrlWhosePasswordIsNeverPrinted) {
    const auto with = [&](const std::string& dir) {
        return load_config(write("memory: {dir: '" + dir + "'}\n"), environment_, {});
    };
    const auto loaded = with("postgresql://ann:geheim@db.example/agents?schema=team_a");
    ASSERT_TRUE(loaded) << loaded.error().message;
    EXPECT_EQ(loaded->config.memory.dir, "postgresql://ann:geheim@db.example/agents?schema=team_a");
    for (const std::string& printed :
         {config_as_yaml(*loaded), config_as_json(*loaded), config_values_json(loaded->config)}) {
        EXPECT_EQ(printed.find("geheim"), std::string::npos);
        EXPECT_NE(printed.find("postgresql://ann:***@db.example/agents?schema=team_a"),
                  std::string::npos);
    }
    const auto other = with("mysql://ann:geheim@db.example/agents");
    ASSERT_FALSE(other);
    EXPECT_EQ(other.error().code, Code::invalid_argument);
    EXPECT_EQ(other.error().subject, "memory.dir");
    EXPECT_EQ(other.error().message.find("geheim"), std::string::npos);
}

}  // namespace
}  // namespace app
