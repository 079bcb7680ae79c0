// Score a VCF contig by contig, and join the contigs:
// nextflow run docs/workflows/score.nf --vcf in.vcf.gz --fasta hg38.fa --model MODEL --contigs chr1,chr2 --out out.vcf.gz
// score has a process for each contig, which the executor of nextflow.config sends to SLURM, a cloud or this machine.

nextflow.enable.dsl = 2

params.options = '--threads 1'

process SCORE {
    cpus 1
    errorStrategy 'retry'
    maxRetries 2

    input:
    tuple val(number), val(contig), path(vcf), path(fasta)
    val model

    output:
    tuple val(number), path("${number}.vcf.gz"), path("${number}.vcf.gz.tbi")

    script:
    """
    genoformer score ${vcf} -f ${fasta} -m ${model} -r ${contig} -o ${number}.vcf.gz ${params.options}
    """
}

process JOIN {
    publishDir "${file(params.out).toAbsolutePath().parent}", mode: 'copy'

    input:
    path parts

    output:
    path "${file(params.out).name}"
    path "${file(params.out).name}.tbi"

    script:
    """
    python -c 'import sys; from pysam import bcftools; bcftools.concat("-Oz", "-o", *sys.argv[1:], catch_stdout=False)' \\
        ${file(params.out).name} ${parts.findAll { it.name.endsWith('.gz') }.sort { it.baseName.tokenize('.')[0] as int }.join(' ')}
    python -c 'import sys; from pysam import bcftools; bcftools.index("-f", "-t", sys.argv[1], catch_stdout=False)' ${file(params.out).name}
    """
}

workflow {
    names = params.contigs.tokenize(',')
    contigs = Channel.fromList(names.withIndex().collect { name, i -> tuple(i, name, file(params.vcf), file(params.fasta)) })
    scored = SCORE(contigs, params.model)
    JOIN(scored.flatMap { number, vcf, index -> [vcf, index] }.collect())
}
