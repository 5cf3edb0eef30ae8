// Files of a box over HTTP: the box inside and the client outside see the same ones, and nothing
// leads out (S47, S48).
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "base/core/base64.h"
#include "sphere/files/archive.h"
#include "sphere/files/tar_format.h"
#include "unit/sphere/http/api_fixture.h"

namespace {

namespace json = base::json;
using sphere::read_until;
using test::RawClient;
using test::RawResponse;
using ::testing::HasSubstr;

class FileRoutes : public sphere::ApiTest {
protected:
    std::string shell(const std::string& box, std::string_view line) {
        const json::object result =
            exec(box, base::to_text(json::object{{"code", line}, {"language", "bash"}}));
        return std::string(result.at("stdout").as_string());
    }
    RawResponse get(const std::string& path, std::string_view headers = "") {
        RawClient client(server_->port());
        return client.request("GET", path, "", headers);
    }
    RawResponse put(const std::string& path, std::string_view body) {
        return call("PUT", path, body);
    }
    static std::string tar(
        std::initializer_list<std::pair<sphere::files::TarHead, std::string>> entries) {
        std::string out;
        for (auto [head, content] : entries) {
            head.bytes = content.size();
            out += sphere::files::tar_head(head) + content +
                   sphere::files::tar_padding(content.size());
        }
        return out + sphere::files::tar_end();
    }
};

TEST_F(FileRoutes, AFileGoesInAndComesOutAndTheBoxOwnsIt) {
    const std::string box = create();
    const RawResponse made = put(file(box, "a/b.txt?mode=750"), "hello\n");
    ASSERT_EQ(made.status, 201) << made.body;
    EXPECT_EQ(object(made).at("name").as_string(), "a/b.txt");
    EXPECT_EQ(object(made).at("mode").as_string(), "0750");
    EXPECT_EQ(shell(box, "cat a/b.txt; echo more >> a/b.txt; stat -c '%a %U' a/b.txt"),
              "hello\n750 " + shell(box, "id -un"));
    const RawResponse read = get(file(box, "a/b.txt"));
    EXPECT_EQ(read.body, "hello\nmore\n");
    EXPECT_EQ(read.header("Content-Type"), "application/octet-stream");
    EXPECT_EQ(read.header("X-Content-Type-Options"), "nosniff");
    EXPECT_EQ(object(get(file(box, "a/b.txt?stat=1"))).at("bytes").to_number<int>(), 11);
    EXPECT_EQ(call("DELETE", file(box, "a/b.txt")).status, 200);
    EXPECT_EQ(get(file(box, "a/b.txt")).status, 404);
    EXPECT_EQ(call("DELETE", file(box, "a")).status, 200);
}

TEST_F(FileRoutes, AFolderIsListedAndRemovedWhenAsked) {
    const std::string box = create();
    shell(box, "mkdir -p d/e; echo 1 > d/one; echo 22 > d/e/two; ln -s one d/link");
    const json::object whole = object(get(file(box, "")));
    ASSERT_EQ(whole.at("data").as_array().size(), 1u);
    EXPECT_EQ(object(get("/v1/sandboxes/" + box + "/files")), whole);
    const json::object listing = object(get(file(box, "d")));
    ASSERT_EQ(listing.at("data").as_array().size(), 3u);
    const json::object link = listing.at("data").as_array()[1].as_object();
    EXPECT_EQ(link.at("type").as_string(), "link");
    EXPECT_EQ(link.at("link_target").as_string(), "one");
    EXPECT_EQ(get(file(box, "d/link")).body, "1\n");
    EXPECT_EQ(object(get(file(box, "d?recursive=1"))).at("data").as_array().size(), 4u);
    const RawResponse refused = call("DELETE", file(box, "d"));
    EXPECT_GE(refused.status, 400);
    EXPECT_EQ(call("DELETE", file(box, "d?recursive=1")).status, 200);
    EXPECT_EQ(shell(box, "ls | wc -l"), "0\n");
}

TEST_F(FileRoutes, NamesOfAnyBytesAreReachedByTheirListing) {
    const std::string box = create();
    shell(box, R"(printf x > $'sp ace%2F\\\xff\xfe"q'; printf y > $'new\nline'; printf z > 文)");
    const json::array entries = object(get(file(box, ""))).at("data").as_array();
    ASSERT_EQ(entries.size(), 3u);
    std::string all;
    for (const json::value& entry : entries) {
        const std::string path(entry.at("path").as_string());
        const RawResponse read = get(file(box, path));
        EXPECT_EQ(read.status, 200) << path;
        all += read.body;
        EXPECT_EQ(call("DELETE", file(box, path)).status, 200) << path;
    }
    std::ranges::sort(all);
    EXPECT_EQ(all, "xyz");
}

TEST_F(FileRoutes, RangesOfSmallAndLargeFiles) {
    const std::string box = create();
    std::string content;
    for (int i = 0; content.size() < 3'000'000; ++i) content += fmt::format("{}\n", i);
    ASSERT_EQ(put(file(box, "large"), content).status, 201);
    EXPECT_EQ(get(file(box, "large")).body, content);
    const RawResponse part = get(file(box, "large"), "Range: bytes=1000000-2999990\r\n");
    EXPECT_EQ(part.status, 206);
    EXPECT_EQ(part.header("Content-Range"),
              fmt::format("bytes 1000000-2999990/{}", content.size()));
    EXPECT_EQ(part.header("Content-Length"), "1999991");
    EXPECT_EQ(part.body, content.substr(1'000'000, 1'999'991));
    EXPECT_EQ(get(file(box, "large"), "Range: bytes=-5\r\n").body,
              content.substr(content.size() - 5));
    const RawResponse none = get(file(box, "large"), "Range: bytes=9999999-\r\n");
    EXPECT_EQ(none.status, 416);
    EXPECT_EQ(none.header("Content-Range"), fmt::format("bytes */{}", content.size()));
    RawClient client(server_->port());
    const RawResponse head = client.request("HEAD", file(box, "large"));
    EXPECT_EQ(head.header("Content-Length"), std::to_string(content.size()));
    EXPECT_EQ(client.request("GET", file(box, "large"), "", "Range: bytes=0-1\r\n").body, "0\n");
}

TEST_F(FileRoutes, FoldersAreMadeAndNamesChanged) {
    const std::string box = create();
    EXPECT_EQ(call("POST", file(box, "x/y"), R"({"action": "mkdir"})").status, 201);
    put(file(box, "x/y/f"), "1");
    put(file(box, "g"), "2");
    EXPECT_EQ(call("POST", file(box, "x/y/f"), R"({"action": "rename", "to": "g"})").status, 409);
    EXPECT_EQ(
        call("POST", file(box, "x/y/f"), R"({"action": "rename", "to": "g", "replace": true})")
            .status,
        200);
    EXPECT_EQ(shell(box, "cat g; ls x/y | wc -l"), "10\n");
    EXPECT_EQ(call("POST", file(box, "g"), R"({"action": "rename"})").status, 400);
    EXPECT_EQ(call("POST", file(box, "g"), R"({"action": "chmod"})").status, 400);
    EXPECT_EQ(call("POST", file(box, "g"), R"({"action": "rename", "to": "../g"})").status, 400);
}

TEST_F(FileRoutes, S47NothingLeadsOutOfTheWorkspace) {
    const std::string box = create();
    shell(box,
          "ln -s /etc/passwd abs; ln -s ../../etc/passwd up; ln -s / root; mkdir real; "
          "ln -s real in; echo ok > real/file");
    for (const char* name : {"abs", "up", "root/etc/passwd", "root"}) {
        EXPECT_EQ(get(file(box, name)).status, 403) << name;
        EXPECT_EQ(get(fmt::format("/v1/sandboxes/{}/archive?path={}/x", box, name)).status, 403)
            << name;
    }
    for (const char* name : {"../x", "a/../../x", "%2e%2e/x", "a%00b", "/etc/passwd", "%2Fetc"}) {
        EXPECT_EQ(get(file(box, name)).status, 400) << name;
        EXPECT_EQ(put(file(box, name), "x").status, 400) << name;
    }
    EXPECT_EQ(get(file(box, "in/file")).body, "ok\n");
    // Writing to a link replaces the link, not what it leads to.
    EXPECT_EQ(put(file(box, "abs"), "mine").status, 201);
    EXPECT_EQ(shell(box, "readlink abs || cat abs"), "mine");
    EXPECT_EQ(put(file(box, "root/x"), "mine").status, 403);
    EXPECT_EQ(call("DELETE", file(box, "root")).status, 200);
}

TEST_F(FileRoutes, S47ALinkSwappedWhileItIsReadNeverLeadsOut) {
    const std::string box = create();
    RawClient swapper(server_->port());
    const json::object swap = {{"language", "bash"},
                               {"stream", true},
                               {"wall_timeout_ms", 0},
                               {"code",
                                "mkdir d; echo inside > d/passwd; echo made; "
                                "while :; do ln -sfn d l; ln -sfn /etc l; done"}};
    swapper.send(request("POST", "/v1/sandboxes/" + box + "/exec", base::to_text(swap), ""));
    EXPECT_EQ(swapper.read_head().status, 200);
    read_until(swapper, "made");
    int inside = 0;
    for (int i = 0; i < 500; ++i) {
        const RawResponse read = get(file(box, "l/passwd"));
        if (read.status == 200) {
            ASSERT_EQ(read.body, "inside\n");
            ++inside;
        }
    }
    EXPECT_GT(inside, 0);
}

TEST_F(FileRoutes, S48AFileLargerThanTheWorkspaceIsRefusedAndLeavesNothing) {
    const std::string box = create(R"({"limits": {"workspace_bytes": 4194304}})");
    const RawResponse refused = put(file(box, "big"), std::string(8 << 20, 'x'));
    EXPECT_GE(refused.status, 400);
    EXPECT_LT(refused.status, 500) << refused.body;
    EXPECT_EQ(shell(box, "ls -A | wc -l"), "0\n");
    EXPECT_EQ(put(file(box, "fits"), std::string(2 << 20, 'x')).status, 201);
}

TEST_F(FileRoutes, S48AnUploadThatBreaksOffLeavesNothing) {
    const std::string box = create();
    {
        RawClient client(server_->port());
        client.send(
            fmt::format("PUT {} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3000000\r\n"
                        "\r\n{}",
                        file(box, "half"), std::string(1'000'000, 'x')));
        for (int i = 0; i < 100'000 && shell(box, "ls -A") == ""; ++i) std::this_thread::yield();
    }
    for (int i = 0; i < 100'000 && shell(box, "ls -A") != ""; ++i) std::this_thread::yield();
    EXPECT_EQ(shell(box, "ls -A"), "");
}

TEST_F(FileRoutes, TreesGoInAndOutAsTar) {
    const std::string box = create();
    const std::string archive = tar({{{.name = "p/", .type = '5', .mode = 0755}, ""},
                                     {{.name = "p/run", .mode = 0755}, "#!/bin/sh\necho ran\n"},
                                     {{.name = "p/l", .link_target = "run", .type = '2'}, ""}});
    const RawResponse in = put("/v1/sandboxes/" + box + "/archive?path=new/place", archive);
    ASSERT_EQ(in.status, 200) << in.body;
    EXPECT_EQ(object(in).at("files").to_number<int>(), 1);
    EXPECT_EQ(shell(box, "new/place/p/l"), "ran\n");
    EXPECT_EQ(shell(box, "tar czf x.tgz new; rm -r new; base64 -w0 x.tgz | head -c 4"), "H4sI");
    const std::string packed = get(file(box, "x.tgz")).body;
    EXPECT_EQ(put("/v1/sandboxes/" + box + "/archive", packed).status, 200);
    const RawResponse out = get("/v1/sandboxes/" + box + "/archive?path=new/place/p");
    EXPECT_EQ(out.status, 200);
    EXPECT_EQ(put("/v1/sandboxes/" + box + "/archive?path=again", out.body).status, 200);
    EXPECT_EQ(shell(box, "again/p/l; diff -r again/p new/place/p && echo same"), "ran\nsame\n");
    EXPECT_EQ(get("/v1/sandboxes/" + box + "/archive?path=nothing").status, 404);
    EXPECT_EQ(get("/v1/sandboxes/" + box + "/archive?gzip=true").body.substr(0, 2), "\x1f\x8b");
}

TEST_F(FileRoutes, S36WickedArchivesAreRefusedByTheirEntry) {
    const std::string box = create();
    const struct {
        sphere::files::TarHead head;
        const char* what;
    } wicked[] = {{{.name = "../out"}, "out"},
                  {{.name = "/abs"}, "abs"},
                  {{.name = "l", .link_target = "/etc", .type = '2'}, "l"},
                  {{.name = "h", .link_target = "/etc/passwd", .type = '1'}, "h"},
                  {{.name = "dev", .type = '3'}, "dev"}};
    for (const auto& each : wicked) {
        const RawResponse answer = put("/v1/sandboxes/" + box + "/archive", tar({{each.head, ""}}));
        EXPECT_EQ(answer.status, 400) << each.head.name;
        EXPECT_THAT(answer.body, HasSubstr(each.what));
    }
    EXPECT_EQ(put("/v1/sandboxes/" + box + "/archive", "no tar at all").status, 400);
    EXPECT_EQ(shell(box, "ls -A"), "");
}

TEST_F(FileRoutes, ChangesAreToldAsTheyHappen) {
    const std::string box = create();
    RawClient client(server_->port());
    client.send(
        fmt::format("GET /v1/sandboxes/{}/watch?recursive=true HTTP/1.1\r\n"
                    "Host: localhost\r\n\r\n",
                    box));
    EXPECT_EQ(client.read_head().header("Content-Type"), "text/event-stream");
    read_until(client, "event: ready");
    ASSERT_EQ(put(file(box, "from%20outside"), "1").status, 201);
    EXPECT_THAT(read_until(client, "from%20outside"), HasSubstr("event: change"));
    shell(box, "mkdir deep; echo 2 > deep/file; mv deep/file deep/moved");
    read_until(client, "deep/moved");
    EXPECT_EQ(call("DELETE", "/v1/sandboxes/" + box).status, 200);
    read_until(client, "event: end");
}

TEST_F(FileRoutes, AnotherTenantsFilesDoNotExist) {
    const std::string box = create("", "blue");
    EXPECT_EQ(call("GET", file(box, ""), "", "red").status, 404);
    EXPECT_EQ(call("PUT", file(box, "f"), "x", "red").status, 404);
    EXPECT_EQ(call("DELETE", file(box, "f"), "", "red").status, 404);
    EXPECT_EQ(call("GET", "/v1/sandboxes/" + box + "/archive", "", "red").status, 404);
    EXPECT_EQ(call("GET", "/v1/sandboxes/" + box + "/logs", "", "red").status, 404);
    EXPECT_EQ(call("PUT", file(box, "f"), "x", "blue").status, 201);
}

}  // namespace
