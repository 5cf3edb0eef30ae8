// Pulls from a hub, against a scripted server: redirects, ranges, cuts, refusals, resumption.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <mutex>

#include "base/files/sha256.h"
#include "engine/catalog/catalog.h"
#include "engine/catalog/hub.h"
#include "support/http_stub.h"
#include "support/temp_dir.h"

namespace {

using base::Code;
using engine::Catalog;
using test::HttpStub;
using test::StubRequest;
using test::StubResponse;

constexpr const char* kFile = "model-Q4_K_M.gguf";
constexpr const char* kSource = "owner/name:model-Q4_K_M.gguf";

std::string sha256_of(const std::string& text) {
    base::Sha256 digest;
    digest.update(std::as_bytes(std::span(text)));
    return digest.finish_hex();
}

std::string pattern(std::size_t bytes) {
    std::string text(bytes, '\0');
    std::uint32_t state = 12345;
    for (char& c : text) {
        state = state * 1664525u + 1013904223u;
        c = static_cast<char>(state >> 24);
    }
    return text;
}

StubResponse status(int code) {
    StubResponse response;
    response.status = code;
    return response;
}

/// The hub's own answers: a file list and, for a file, a redirect that names size and checksum.
/// `cdn` answers the redirected requests.
class FakeHub {
public:
    FakeHub(std::vector<std::string> files, std::string content, HttpStub::Handler cdn)
        : files_(std::move(files)),
          sha256_(sha256_of(content)),
          bytes_(content.size()),
          cdn_(std::move(cdn)),
          server_([this](const StubRequest& r) { return answer(r); }) {}

    std::string url() const { return server_.url(); }
    std::vector<StubRequest> cdn_requests() const {
        std::vector<StubRequest> found = server_.requests();
        std::erase_if(found, [](const StubRequest& r) { return !r.target.starts_with("/cdn/"); });
        return found;
    }

private:
    StubResponse answer(const StubRequest& request) {
        if (request.target == "/api/models/owner/name") {
            StubResponse response;
            for (const std::string& file : files_) {
                response.body += (response.body.empty() ? "" : ",");
                response.body += "{\"rfilename\":\"" + file + "\"}";
            }
            response.body = "{\"siblings\":[" + response.body + "]}";
            return response;
        }
        constexpr std::string_view kResolve = "/owner/name/resolve/main/";
        if (request.target.starts_with(kResolve)) {
            StubResponse response = status(302);
            response.headers = {{"Location", "/cdn/" + request.target.substr(kResolve.size())},
                                {"X-Linked-Etag", "\"" + sha256_ + "\""},
                                {"X-Linked-Size", std::to_string(bytes_)}};
            return response;
        }
        if (request.target.starts_with("/cdn/")) return cdn_(request);
        return status(404);
    }

    std::vector<std::string> files_;
    std::string sha256_;
    std::size_t bytes_;
    HttpStub::Handler cdn_;
    HttpStub server_;  // last: its threads use the rest
};

engine::CatalogOptions options_for(const std::string& hub, const test::TempDir& dir) {
    engine::CatalogOptions options;
    options.models_dir = dir.file("models");
    options.hub_url = hub;
    options.backoff_first_ms = 1;
    options.range_bytes = 64 << 10;
    options.ranges_parallel = 3;
    return options;
}

Catalog open_catalog(const engine::CatalogOptions& options) {
    auto catalog = Catalog::open(options);
    EXPECT_TRUE(catalog.has_value());
    return *std::move(catalog);
}

std::size_t files_in(const std::string& folder) {
    std::error_code absent;
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& f : std::filesystem::directory_iterator(folder, absent)) {
        ++count;
    }
    return count;
}

std::uint64_t bytes_requested(const std::vector<StubRequest>& requests) {
    std::uint64_t total = 0;
    for (const StubRequest& request : requests) {
        if (const auto range = request.range()) total += range->second - range->first + 1;
    }
    return total;
}

TEST(HubPull, FetchesInParallelRangesThroughARedirect) {
    const std::string content = pattern(500'000);
    const FakeHub hub({}, content, [&](const StubRequest& request) {
        return test::serve_content(request, content);
    });
    const test::TempDir dir;
    Catalog catalog = open_catalog(options_for(hub.url(), dir));
    std::uint64_t last = 0, total = 0;
    const auto pulled = catalog.pull(kSource, {}, [&](const engine::PullProgress& at) {
        if (at.stage == "download") {
            EXPECT_GE(at.bytes_done, last);
            last = at.bytes_done;
            total = at.bytes_total;
        }
        return true;
    });
    ASSERT_TRUE(pulled.has_value()) << pulled.error().message;
    EXPECT_EQ(test::read_text(pulled->entry.path), content);
    EXPECT_EQ(pulled->entry.sha256, sha256_of(content));
    EXPECT_EQ(pulled->bytes_fetched, content.size());
    EXPECT_EQ(last, content.size());
    EXPECT_EQ(total, content.size());
    EXPECT_EQ(hub.cdn_requests().size(), 8u);               // 500,000 bytes in ranges of 64 KiB
    EXPECT_EQ(files_in(catalog.options().models_dir), 2u);  // the model and its manifest
    EXPECT_TRUE(catalog.verify(pulled->entry.name)->ok());
}

TEST(HubPull, SkipsWhatIsAlreadyThere) {
    const std::string content = pattern(10'000);
    const FakeHub hub({}, content, [&](const StubRequest& request) {
        return test::serve_content(request, content);
    });
    const test::TempDir dir;
    Catalog catalog = open_catalog(options_for(hub.url(), dir));
    ASSERT_TRUE(catalog.pull(kSource).has_value());
    const std::size_t requests = hub.cdn_requests().size();
    const auto again = catalog.pull(kSource);
    ASSERT_TRUE(again.has_value()) << again.error().message;
    EXPECT_TRUE(again->already_there);
    EXPECT_EQ(hub.cdn_requests().size(), requests);
    engine::PullOptions force;
    force.force = true;
    EXPECT_FALSE(catalog.pull(kSource, force)->already_there);
    EXPECT_GT(hub.cdn_requests().size(), requests);
}

TEST(HubPull, GoesOnWhereACutConnectionEnded) {
    const std::string content = pattern(300'000);
    std::atomic<int> answers{0};
    const FakeHub hub({}, content, [&](const StubRequest& request) {
        StubResponse response = test::serve_content(request, content);
        if (++answers <= 4 && response.body.size() > 20'000) response.cut_after = 20'000;
        return response;
    });
    const test::TempDir dir;
    const auto pulled = open_catalog(options_for(hub.url(), dir)).pull(kSource);
    ASSERT_TRUE(pulled.has_value()) << pulled.error().message;
    EXPECT_EQ(test::read_text(pulled->entry.path), content);
    // Four answers were cut after 20,000 bytes: those bytes were not fetched again.
    EXPECT_EQ(pulled->bytes_fetched, content.size());
}

TEST(HubPull, KeepsWhatAStoppedPullFetched) {
    const std::string content = pattern(400'000);
    const test::TempDir dir;
    std::atomic<bool> failing{true};
    const FakeHub cutting({}, content, [&](const StubRequest& request) {
        const auto range = request.range();
        if (failing && range && range->first >= 200'000) return status(503);
        return test::serve_content(request, content);
    });
    engine::CatalogOptions options = options_for(cutting.url(), dir);
    options.ranges_parallel = 1;
    options.attempts_max = 2;
    const auto first = open_catalog(options).pull(kSource);
    ASSERT_FALSE(first.has_value());
    EXPECT_EQ(first.error().code, Code::unavailable);
    const std::uint64_t before = bytes_requested(cutting.cdn_requests());
    failing = false;
    const auto second = open_catalog(options).pull(kSource);
    ASSERT_TRUE(second.has_value()) << second.error().message;
    EXPECT_EQ(test::read_text(second->entry.path), content);
    // 4 ranges of 64 KiB came in the first run; the second asks only for the rest.
    EXPECT_EQ(bytes_requested(cutting.cdn_requests()) - before, content.size() - 4 * 65'536);
    EXPECT_EQ(second->bytes_fetched, content.size() - 4 * 65'536);
}

TEST(HubPull, SurvivesKillNine) {
    const std::string content = pattern(2'000'000);
    std::atomic<bool> slow{true};
    const FakeHub hub({}, content, [&](const StubRequest& request) {
        // The last ranges never come while the child runs, so that it is killed half-way.
        const auto range = request.range();
        StubResponse response = test::serve_content(request, content);
        response.stall = slow && range && range->first > 1'000'000;
        return response;
    });
    const test::TempDir dir;
    engine::CatalogOptions options = options_for(hub.url(), dir);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        const auto state = options.models_dir + "/" + kFile + ".part.json";
        static_cast<void>(open_catalog(options).pull(kSource, {}, [&](const auto& at) {
            // Half of the bytes are here and the state has been saved since.
            const std::string saved = test::read_text(state);
            const auto ranges_done = [&] {
                std::size_t n = 0;
                for (std::size_t p = 0; (p = saved.find("[65536,65536]", p)) != saved.npos; ++p)
                    ++n;
                return n;
            };
            if (at.bytes_done > 900'000 && ranges_done() >= 14) ::raise(SIGKILL);
            return true;
        }));
        ::_exit(3);
    }
    int wait_status = 0;
    ASSERT_EQ(::waitpid(child, &wait_status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGKILL);
    slow = false;
    const auto pulled = open_catalog(options).pull(kSource);
    ASSERT_TRUE(pulled.has_value()) << pulled.error().message;
    EXPECT_EQ(test::read_text(pulled->entry.path), content);
    EXPECT_LE(pulled->bytes_fetched, content.size() - 14 * 65'536);
}

TEST(HubPull, StartsAfreshWhenTheFileChanged) {
    const std::string old_content = pattern(200'000);
    std::string content = old_content;
    content[5] = static_cast<char>(content[5] ^ 1);
    const test::TempDir dir;
    {
        const FakeHub hub({}, old_content, [&](const StubRequest& request) {
            const auto range = request.range();
            if (range && range->first > 100'000) return status(500);
            return test::serve_content(request, old_content);
        });
        engine::CatalogOptions options = options_for(hub.url(), dir);
        options.attempts_max = 1;
        ASSERT_FALSE(open_catalog(options).pull(kSource).has_value());
    }
    const FakeHub hub({}, content, [&](const StubRequest& request) {
        return test::serve_content(request, content);
    });
    const auto pulled = open_catalog(options_for(hub.url(), dir)).pull(kSource);
    ASSERT_TRUE(pulled.has_value()) << pulled.error().message;
    EXPECT_EQ(test::read_text(pulled->entry.path), content);
}

TEST(HubPull, TakesOneStreamFromAServerWithoutRanges) {
    const std::string content = pattern(300'000);
    const FakeHub hub({}, content, [&](const StubRequest&) {
        StubResponse response;
        response.body = content;
        return response;
    });
    const test::TempDir dir;
    Catalog catalog = open_catalog(options_for(hub.url(), dir));
    const auto pulled = catalog.pull(kSource);
    ASSERT_TRUE(pulled.has_value()) << pulled.error().message;
    EXPECT_EQ(test::read_text(pulled->entry.path), content);
    EXPECT_EQ(files_in(catalog.options().models_dir), 2u);
}

TEST(HubPull, RefusesASizeNoDiskHas) {
    const HttpStub server([](const StubRequest&) {
        StubResponse response = status(302);
        response.headers = {{"Location", "/cdn/x"},
                            {"X-Linked-Etag", "\"tag\""},
                            {"X-Linked-Size", "18446744073709551615"}};
        return response;
    });
    const test::TempDir dir;
    const engine::CatalogOptions options = options_for(server.url(), dir);
    const auto pulled = open_catalog(options).pull(kSource);
    ASSERT_FALSE(pulled.has_value());
    EXPECT_EQ(pulled.error().code, Code::resource_exhausted) << pulled.error().message;
    EXPECT_EQ(files_in(options.models_dir), 0u);
}

TEST(HubPull, RefusesAWrongRangeFromTheServer) {
    const std::string content = pattern(300'000);
    const FakeHub hub({}, content, [&](const StubRequest& request) {
        StubResponse response = test::serve_content(request, content);
        if (response.status == 206) {
            response.headers = {{"Content-Range", "bytes 0-9/300000"}};
            response.body = content.substr(0, 10);
        }
        return response;
    });
    const test::TempDir dir;
    const auto pulled = open_catalog(options_for(hub.url(), dir)).pull(kSource);
    ASSERT_FALSE(pulled.has_value());
    EXPECT_EQ(pulled.error().code, Code::data_loss);
}

TEST(HubPull, LeavesNothingAfterAWrongChecksum) {
    const std::string content = pattern(150'000);
    std::string damaged = content;
    damaged[100'000] = static_cast<char>(damaged[100'000] ^ 4);
    const FakeHub hub({}, content, [&](const StubRequest& request) {
        return test::serve_content(request, damaged);
    });
    const test::TempDir dir;
    Catalog catalog = open_catalog(options_for(hub.url(), dir));
    const auto pulled = catalog.pull(kSource);
    ASSERT_FALSE(pulled.has_value());
    EXPECT_EQ(pulled.error().code, Code::data_loss);
    EXPECT_NE(pulled.error().message.find(sha256_of(content)), std::string::npos);
    EXPECT_NE(pulled.error().message.find(sha256_of(damaged)), std::string::npos);
    EXPECT_EQ(files_in(catalog.options().models_dir), 0u);
}

TEST(HubPull, LetsThePinOverrideTheHub) {
    const std::string content = pattern(20'000);
    const FakeHub hub({}, content, [&](const StubRequest& request) {
        return test::serve_content(request, content);
    });
    const test::TempDir dir;
    engine::PullOptions options;
    options.sha256 = std::string(64, 'a');
    const auto pulled = open_catalog(options_for(hub.url(), dir)).pull(kSource, options);
    ASSERT_FALSE(pulled.has_value());
    EXPECT_EQ(pulled.error().code, Code::data_loss);
}

TEST(HubPull, RetriesWhenTheServerIsBusy) {
    const std::string content = pattern(50'000);
    std::atomic<int> answers{0};
    const FakeHub hub({}, content, [&](const StubRequest& request) {
        const int n = ++answers;
        if (n <= 2) {
            StubResponse busy = status(n == 1 ? 429 : 503);
            busy.headers = {{"Retry-After", "0"}};
            return busy;
        }
        return test::serve_content(request, content);
    });
    const test::TempDir dir;
    const auto pulled = open_catalog(options_for(hub.url(), dir)).pull(kSource);
    ASSERT_TRUE(pulled.has_value()) << pulled.error().message;
    EXPECT_EQ(answers, 3);
}

TEST(HubPull, NamesAMissingFileAndAGatedRepository) {
    const test::TempDir dir;
    for (const auto& [code, expected] :
         {std::pair(404, Code::not_found), std::pair(401, Code::permission_denied),
          std::pair(403, Code::permission_denied)}) {
        const HttpStub server([code = code](const StubRequest&) { return status(code); });
        Catalog catalog = open_catalog(options_for(server.url(), dir));
        const auto file = catalog.pull(kSource);
        ASSERT_FALSE(file.has_value());
        EXPECT_EQ(file.error().code, expected);
        const auto repository = catalog.pull("owner/name");
        ASSERT_FALSE(repository.has_value());
        EXPECT_EQ(repository.error().code, expected);
        EXPECT_EQ(files_in(catalog.options().models_dir), 0u);
    }
}

TEST(HubPull, ForgetsThePartWhenTheFileIsRefused) {
    const std::string content = pattern(100'000);
    const FakeHub hub({}, content, [&](const StubRequest&) { return status(403); });
    const test::TempDir dir;
    Catalog catalog = open_catalog(options_for(hub.url(), dir));
    EXPECT_EQ(catalog.pull(kSource).error().code, Code::permission_denied);
    EXPECT_EQ(files_in(catalog.options().models_dir), 0u);
}

TEST(HubPull, SendsTheTokenToTheHubAlone) {
    const std::string content = pattern(10'000);
    std::atomic<int> leaks{0};
    const HttpStub cdn([&](const StubRequest& request) {
        if (request.headers.contains("authorization")) ++leaks;
        return test::serve_content(request, content);
    });
    std::atomic<int> authorised{0};
    const HttpStub hub([&](const StubRequest& request) {
        const auto found = request.headers.find("authorization");
        if (found != request.headers.end() && found->second == "Bearer secret") ++authorised;
        StubResponse response = status(302);
        response.headers = {{"Location", cdn.url() + "/file"},
                            {"X-Linked-Size", std::to_string(content.size())},
                            {"X-Linked-Etag", "\"" + sha256_of(content) + "\""}};
        return response;
    });
    const test::TempDir dir;
    engine::CatalogOptions options = options_for(hub.url(), dir);
    options.hub_token = "secret";
    const auto pulled = open_catalog(options).pull(kSource);
    ASSERT_TRUE(pulled.has_value()) << pulled.error().message;
    EXPECT_GE(authorised, 2);
    EXPECT_EQ(leaks, 0);
}

TEST(HubPull, StopsWhenAsked) {
    const std::string content = pattern(300'000);
    const FakeHub hub({}, content, [&](const StubRequest& request) {
        StubResponse response = test::serve_content(request, content);
        response.stall = true;
        return response;
    });
    const test::TempDir dir;
    int reports = 0;
    const auto pulled =
        open_catalog(options_for(hub.url(), dir)).pull(kSource, {}, [&](const auto&) {
            return ++reports < 4;
        });
    ASSERT_FALSE(pulled.has_value());
    EXPECT_EQ(pulled.error().code, Code::cancelled);
}

TEST(HubPull, RefusesASecondPullOfTheSameFile) {
    const std::string content = pattern(100'000);
    const test::TempDir dir;
    const FakeHub* hub_address = nullptr;
    Code second = Code::internal;
    std::once_flag once;
    const FakeHub hub({}, content, [&](const StubRequest& request) {
        std::call_once(once, [&] {
            const auto result = open_catalog(options_for(hub_address->url(), dir)).pull(kSource);
            second = result ? Code::internal : result.error().code;
        });
        return test::serve_content(request, content);
    });
    hub_address = &hub;
    const auto pulled = open_catalog(options_for(hub.url(), dir)).pull(kSource);
    ASSERT_TRUE(pulled.has_value()) << pulled.error().message;
    EXPECT_EQ(second, Code::failed_precondition);
}

TEST(HubPull, ChoosesAQuantisationAndSaysWhich) {
    const std::string content = pattern(10'000);
    const FakeHub hub(
        {"README.md", "m-Q8_0.gguf", "m-Q4_K_M.gguf", "m-IQ2_XS.gguf"}, content,
        [&](const StubRequest& request) { return test::serve_content(request, content); });
    const test::TempDir dir;
    Catalog catalog = open_catalog(options_for(hub.url(), dir));
    const auto pulled = catalog.pull("owner/name");
    ASSERT_TRUE(pulled.has_value()) << pulled.error().message;
    EXPECT_EQ(pulled->entry.name, "m-Q4_K_M");
    EXPECT_NE(pulled->choice.find("m-Q4_K_M.gguf"), std::string::npos);
    engine::PullOptions options;
    options.quantization = "q8_0";
    EXPECT_EQ(catalog.pull("owner/name", options)->entry.name, "m-Q8_0");
}

TEST(HubPull, SaysWhenARepositoryHasNothingToRun) {
    const FakeHub hub({"model.safetensors", "m-IQ2_XS.gguf"}, "x",
                      [](const StubRequest&) { return status(404); });
    const test::TempDir dir;
    const auto pulled = open_catalog(options_for(hub.url(), dir)).pull("owner/name");
    ASSERT_FALSE(pulled.has_value());
    EXPECT_EQ(pulled.error().code, Code::not_found);
    EXPECT_NE(pulled.error().message.find("model.safetensors"), std::string::npos);
}

TEST(HubPull, FetchesAllShards) {
    const std::string content = pattern(30'000);
    const FakeHub hub(
        {"m-Q4_0-00001-of-00003.gguf", "m-Q4_0-00002-of-00003.gguf", "m-Q4_0-00003-of-00003.gguf"},
        content, [&](const StubRequest& request) { return test::serve_content(request, content); });
    const test::TempDir dir;
    Catalog catalog = open_catalog(options_for(hub.url(), dir));
    const auto pulled = catalog.pull("owner/name");
    ASSERT_TRUE(pulled.has_value()) << pulled.error().message;
    EXPECT_EQ(pulled->entry.files.size(), 3u);
    EXPECT_EQ(pulled->entry.bytes, 3 * content.size());
    EXPECT_TRUE(catalog.verify(pulled->entry.name)->recorded);
    EXPECT_EQ(catalog.list()->size(), 1u);
    ASSERT_TRUE(catalog.remove(pulled->entry.name).has_value());
    EXPECT_EQ(files_in(catalog.options().models_dir), 0u);
}

TEST(HubPull, StopsWhileTheHubIsBusy) {
    const HttpStub server([](const StubRequest&) { return status(503); });
    const test::TempDir dir;
    engine::CatalogOptions options = options_for(server.url(), dir);
    options.backoff_first_ms = 30'000;
    int reports = 0;
    const auto pulled = open_catalog(options).pull(
        kSource, {}, [&](const engine::PullProgress&) { return ++reports < 6; });
    ASSERT_FALSE(pulled.has_value());
    EXPECT_EQ(pulled.error().code, Code::cancelled);
}

TEST(RankGgufFiles, PrefersFourBitsAndLeavesOutWhatCannotRun) {
    const std::vector<std::string> files = {
        "a.F16.gguf",    "a.Q8_0.gguf",   "a.Q4_0.gguf", "mmproj-a-f16.gguf",    "a.IQ4_XS.gguf",
        "a.q4_k_m.gguf", "a.Q4_K_S.gguf", "a.bin",       "b-00002-of-00002.gguf"};
    EXPECT_EQ(engine::rank_gguf_files(files, ""),
              (std::vector<std::string>{"a.q4_k_m.gguf", "a.Q4_K_S.gguf", "a.Q4_0.gguf",
                                        "a.Q8_0.gguf", "a.F16.gguf"}));
    EXPECT_EQ(engine::rank_gguf_files(files, "F16").front(), "a.F16.gguf");
}

}  // namespace
