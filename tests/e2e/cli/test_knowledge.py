"""`dougong knowledge`: a folder of documents, cited, replaced, compared and closed to strangers."""
import json
import os
import unittest

from program import ProgramTest


class KnowledgeTest(ProgramTest):
    def good(self, *arguments, **more):
        done = self.run_program("knowledge", *arguments, **more)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def folder(self, files):
        path = os.path.join(self.home, "documents")
        os.makedirs(path, exist_ok=True)
        for name, text in files.items():
            with open(os.path.join(path, name), "w", encoding="utf-8") as file:
                file.write(text)
        return path

    def found(self, query, *flags):
        return json.loads(self.good("search", query, "--json", *flags))["data"]

    def test_a_folder_is_added_found_and_replaced(self):
        path = self.folder({"leave.md": "# Leave\n\nParental leave lasts 14 weeks.",
                            "pay.html": "<h1>Pay</h1><p>Salaries are paid on the 25th."})
        self.good("add", path, "--base", "hr")
        best = self.found("how long is parental leave")[0]
        self.assertEqual(best["at"]["title"], "Leave")
        text = json.loads(self.good("show", best["at"]["document"], "--base", "hr", "--text",
                                    "--json"))["text"].encode()
        self.assertEqual(text[best["at"]["begin"]:best["at"]["end"]].decode(), best["text"])
        again = self.good("add", path, "--base", "hr")
        self.assertEqual(again.count("unchanged"), 2)
        self.good("rm", best["at"]["document"], "--base", "hr")
        self.assertNotIn("Leave", [hit["at"]["title"] for hit in self.found("parental leave")])

    def test_a_document_is_forgotten_with_a_receipt(self):
        path = self.folder({"a.md": "# A\n\nThe wombat canary-99 digs.", "b.md": "# B\n\nEmus run."})
        self.good("add", path, "--base", "zoo")
        document = self.found("wombat digs")[0]["at"]["document"]
        wrong = self.run_program("memory", "forget", "--document", document, "--yes")
        self.assertEqual(wrong.returncode, 64)
        self.assertIn("BASE/ID", wrong.stderr)
        done = self.run_program("memory", "forget", "--document", "zoo/" + document, "--yes", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        receipt = json.loads(done.stdout)
        self.assertEqual(receipt["counts"]["documents"], 1)
        self.assertTrue(receipt["scan"]["clean"])
        self.assertEqual([hit["at"]["title"] for hit in self.found("wombat emus")], ["B"])
        again = self.run_program("memory", "forget", "--document", "zoo/" + document, "--yes")
        self.assertNotEqual(again.returncode, 0)
        stats = self.run_program("memory", "stats", "--json")
        self.assertEqual(json.loads(stats.stdout)["passages"], 1)

    def test_labels_close_a_document(self):
        path = self.folder({"secret.md": "# Plan\n\nThe merger is in May."})
        self.good("add", path, "--label", "board")
        self.assertEqual(self.found("merger"), [])
        self.assertEqual(self.good("ls"), "")
        self.assertEqual(len(self.found("merger", "--label", "board")), 1)

    def test_conflicts_name_both_documents(self):
        path = self.folder({"a.md": "The weight of the X200 is 3.5 kg.",
                            "b.md": "The weight of the X200 is 3900 g."})
        self.good("add", path)
        text = self.good("conflicts")
        self.assertIn("a.md", text)
        self.assertIn("b.md", text)

    def test_a_bad_file_is_told_and_the_others_are_added(self):
        path = self.folder({"good.md": "# Good\n\nwords", "bad.pdf": "%PDF-1.4 broken"})
        done = self.run_program("knowledge", "add", path)
        self.assertEqual(done.returncode, 1)
        self.assertIn("bad.pdf", done.stderr)
        self.assertEqual(len(self.found("words")), 1)


if __name__ == "__main__":
    unittest.main()
